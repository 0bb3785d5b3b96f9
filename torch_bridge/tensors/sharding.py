"""Weights that are gathered where they are used, and given up after: sharded data parallelism.

What autograd keeps of a gathered weight for the backward pass is not the weight, but where it came from. It is gathered
again when the gradient of the function's result arrives, which it does on every rank, also on those that computed
nothing. While the backward pass computes with a call's weights, those of the call before it are on their way. So a rank
holds, besides its parts, the whole of one layer's weights at a time, and of two in the backward pass.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, final

import torch

from torch_bridge.compat import backward_pass, plain, saved_tensors_hooks

_nothing = contextlib.nullcontext()


@final
class Weight:
    """A gathered weight in a call: what of it is saved, and how it is gathered again.

    Attributes
    ----------
    whole : torch.Tensor or None
        What was gathered again, until all of what was saved has been asked for.
    """

    def __init__(self, value: Any, move: Any) -> None:
        self.value, self.move, self.call, self.version = value, move, move.again(value), value._version
        self.saved = self.left = 0
        self.whole: torch.Tensor | None = None
        self.world = move.source.grid.world
        self.nbytes = math.prod(move.target.shape) * value.element_size()
        self._started: Any = None
        self._task: int | None = None  # the backward pass in which it has started

    def gather(self) -> torch.Tensor:
        """Gather the weight again. Collective."""
        if self.value._version != self.version:
            raise RuntimeError(
                "a sharded weight was changed in place between the forward pass and the backward pass, "
                "which gathers it again"
            )
        with torch.no_grad(), plain():
            if self._started is None or self._task != backward_pass():
                return self.move.run(self.value, self.call)  # type: ignore[no-any-return]
            started, self._started = self._started, None
            return started.finish()  # type: ignore[no-any-return]

    def start(self, task: int) -> None:
        """Start to gather the weight in a backward pass, once, where that is an exchange of messages.

        Whether it starts follows from the program alone, not from when memory is freed: it is so on all ranks.
        """
        if self._task is None and self.value._version == self.version:
            self._task = task
            with torch.no_grad(), plain():
                self._started = self.move.start(self.value, self.call)
            if self._started is not None:
                self.move.source.state.gradients.ends(self)

    def finish(self, *, add: bool = True) -> None:
        """At the end of a pass, wait for what nobody has used; what later passes need is gathered when it is needed."""
        if add:
            self.move.source.state.needed.clear()
        if self._started is not None:
            self._started.finish()
            self._started = None

    def prepare(self) -> None:
        """Gather the weight for the backward pass of the call. Collective.

        What the call itself changed, as running statistics, is not saved, on any rank.
        """
        if not self.saved and self.value._version != self.version:
            return
        whole = self.gather()
        self.whole, self.left = whole if self.saved else None, self.saved

    def unpack(self, shape: Any, stride: Any, offset: int) -> torch.Tensor:
        """Return what was saved."""
        whole = self.gather() if self.whole is None else self.whole
        self.left -= 1
        if self.left <= 0:
            self.whole = None
        return whole.as_strided(shape, stride, offset)


class _Prepared(torch.autograd.Function):
    """The identity; backward, weights are gathered first."""

    @staticmethod
    def forward(result: torch.Tensor, weights: list[Weight]) -> torch.Tensor:  # noqa: ARG004
        return result.view_as(result)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ARG004
        ctx.weights = inputs[1]

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor, None]:
        _start(ctx.weights)
        for weight in ctx.weights:
            if weight.whole is None:
                weight.prepare()
        return cotangent, None


def _start(weights: list[Weight]) -> None:
    """Start to gather a call's weights, and those of the call before it, which are needed next, if memory allows it."""
    needed, task = weights[0].move.source.state.needed, backward_pass()
    place = next((k for k, others in enumerate(needed) if others is weights), None)
    if place is None:
        return
    for weight in weights:
        weight.start(task)
    before = needed[place - 1] if place else []
    if before and sum(weight.nbytes for weight in before) <= before[0].value.__dict__.get("_ahead", 0):
        for weight in before:
            weight.start(task)


def given_up(values: Sequence[Any], moves: Sequence[Any]) -> list[Weight]:
    """Return the weights that a call gathers, and that are given up after it.

    Parameters
    ----------
    values : sequence of torch.Tensor
        The operands of a call.
    moves : sequence of Move or None
        How each was moved.
    """
    if not torch.is_grad_enabled() or saved_tensors_hooks(False) is not None:
        return []  # within a checkpoint, nothing is kept, and the recomputation gathers again
    weights = [
        Weight(value, move)
        for value, move in zip(values, moves, strict=True)
        if move is not None and value.__dict__.get("_reshard") and not move.keeps
    ]
    if weights:
        weights[0].move.source.state.needed.append(weights)
    return weights


def packed(weights: list[Weight], values: Sequence[Any], parts: Sequence[torch.Tensor]) -> Any:
    """Return a context in which autograd keeps, of weights that were gathered, only how to gather them again."""
    if not weights:
        return _nothing
    of = {id(weight.value): weight for weight in weights}
    origins = {
        part.untyped_storage().data_ptr(): of[id(value)]
        for value, part in zip(values, parts, strict=True)
        if id(value) in of and part.numel()
    }

    def pack(saved: torch.Tensor) -> Any:
        weight = origins.get(saved.untyped_storage().data_ptr())
        if weight is None:
            return saved
        weight.saved += 1
        return weight, saved.shape, saved.stride(), saved.storage_offset()

    def unpack(packed: Any) -> torch.Tensor:
        return packed if isinstance(packed, torch.Tensor) else packed[0].unpack(*packed[1:])

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


def prepared(result: Any, weights: list[Weight]) -> Any:
    """Return a call's results, whose backward pass begins by gathering the weights again."""
    if isinstance(result, torch.Tensor):
        return _Prepared.apply(result, weights) if result.requires_grad else result  # type: ignore[no-untyped-call]
    if isinstance(result, list):
        return [prepared(item, weights) for item in result]
    if isinstance(result, tuple):
        items = [prepared(item, weights) for item in result]
        return type(result)(items) if hasattr(result, "n_fields") else tuple(items)
    return result
