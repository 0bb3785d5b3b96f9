"""Weights that are gathered where they are used, and given up after: sharded data parallelism.

What autograd keeps of a gathered weight for the backward pass is not the weight, but where it came from: it is gathered
again when it is needed. While the backward pass computes with one weight, the one that it needs next is on its way. So
a rank holds, besides its parts, the whole of one layer's weights at a time, and of two in the backward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, final

import torch

_nothing = contextlib.nullcontext()


def given_up(values: Sequence[Any], moves: Sequence[Any], parts: Sequence[torch.Tensor]) -> Any:
    """Return a context in which autograd keeps, of weights that were gathered, only how to gather them again.

    Parameters
    ----------
    values : sequence of torch.Tensor
        The operands of a call.
    moves : sequence of Move or None
        How each was moved.
    parts : sequence of torch.Tensor
        What each was moved to.
    """
    if not torch.is_grad_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None:
        return _nothing  # within a checkpoint, nothing is kept, and the recomputation gathers again
    gathered = [
        (value, move, part)
        for value, move, part in zip(values, moves, parts, strict=True)
        if move is not None and value.__dict__.get("_reshard") and not move.keeps
    ]
    return _hooks(gathered) if gathered else _nothing


def _hooks(gathered: list[tuple[Any, Any, torch.Tensor]]) -> Any:
    """Return hooks that replace what lies in a gathered weight's memory."""
    origins = {
        part.untyped_storage().data_ptr(): Gathered(value, move, part.nbytes)
        for value, move, part in gathered
        if part.numel()
    }

    def pack(saved: torch.Tensor) -> Any:
        origin = origins.get(saved.untyped_storage().data_ptr())
        if origin is None:
            return saved
        origin.keep()
        return origin, saved.shape, saved.stride(), saved.storage_offset()

    def unpack(packed: Any) -> torch.Tensor:
        if isinstance(packed, torch.Tensor):
            return packed
        origin, *memory = packed
        with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
            return origin.take().as_strided(*memory)  # type: ignore[no-any-return]

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


@final
class Gathered:
    """Where a weight came from that the backward pass needs.

    Parameters
    ----------
    value : torch.Tensor
        This rank's part of it.
    move : Move
        What gathers it.
    nbytes : int
        Of the gathered weight.
    """

    def __init__(self, value: Any, move: Any, nbytes: int) -> None:
        self._value, self._move, self._nbytes = value, move, nbytes
        self._call, self._version = move.again(value), value._version
        self._needed, self.world = move.source.state.needed, move.source.grid.world
        self._started: Any = None
        self._task: int | None = None  # the pass in which it has started
        self._kept = False

    def keep(self) -> None:
        """Note that the backward pass needs it: before those that the forward pass has used before it."""
        if not self._kept:
            self._kept = True
            self._needed.append(self)

    def take(self) -> torch.Tensor:
        """Return the gathered weight; let the one that is needed next leave meanwhile."""
        if self._value._version != self._version:
            raise RuntimeError(
                "a sharded weight was changed in place between the forward pass and the backward pass, "
                "which gathers it again"
            )
        task = torch._C._current_graph_task_id()
        if task != -1 and self in self._needed:
            self._start(task)
            place = self._needed.index(self)
            if place:
                self._needed[place - 1].start_ahead(task)
        if self._started is None or self._task != task:
            return self._move.run(self._value, self._call)  # type: ignore[no-any-return]
        started, self._started = self._started, None
        return started.finish()  # type: ignore[no-any-return]

    def start_ahead(self, task: int) -> None:
        """Start to gather it before it is needed, unless that takes more memory than is allowed."""
        if self._nbytes <= self._value.__dict__.get("_ahead", 0) and self._value._version == self._version:
            self._start(task)

    def _start(self, task: int) -> None:
        """Start to gather it in a backward pass, once, where that is an exchange of messages.

        Whether it starts follows from the program alone, not from when memory is freed: it is so on all ranks.
        """
        if self._task is None:
            self._task = task
            self._started = self._move.start(self._value, self._call)
            if self._started is not None:
                self._move.source.state.gradients.ends(self)

    def finish(self, *, add: bool = True) -> None:
        """At the end of a pass, wait for what nobody has used; what later passes need is gathered when it is needed."""
        if add:
            self._needed.clear()
        if self._started is not None:
            self._started.finish()
            self._started = None
