"""Weights that are gathered where they are used, and given up after: sharded data parallelism.

What autograd keeps of a gathered weight for the backward pass is not the weight, but where it came from. It is gathered
again when the gradient of the function's result arrives, which it does on every rank, also on those that computed
nothing. So a rank holds, besides its parts, the whole of one layer's weights at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, final

import torch

from torch_bridge.compat import plain, saved_tensors_hooks

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

    def gather(self) -> torch.Tensor:
        """Gather the weight again. Collective."""
        if self.value._version != self.version:
            raise RuntimeError(
                "a sharded weight was changed in place between the forward pass and the backward pass, "
                "which gathers it again"
            )
        with torch.no_grad(), plain():
            return self.move.run(self.value, self.call)  # type: ignore[no-any-return]

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
        for weight in ctx.weights:
            if weight.whole is None:
                weight.prepare()
        return cotangent, None


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
    return [
        Weight(value, move)
        for value, move in zip(values, moves, strict=True)
        if move is not None and value.__dict__.get("_reshard") and not move.keeps
    ]


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
