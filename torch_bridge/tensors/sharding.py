"""Weights that are gathered where they are used, and given up after: sharded data parallelism.

What autograd keeps of a gathered weight for the backward pass is not the weight, but where it came from: it is gathered
again when it is needed. So a rank holds, besides its parts, the whole of one layer's weights at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch

from torch_bridge.compat import plain, saved_tensors_hooks

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
    if not torch.is_grad_enabled() or saved_tensors_hooks(False) is not None:
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
        part.untyped_storage().data_ptr(): (value, move, move.again(value))
        for value, move, part in gathered
        if part.numel()
    }

    def pack(saved: torch.Tensor) -> Any:
        origin = origins.get(saved.untyped_storage().data_ptr())
        if origin is None:
            return saved
        value, move, call = origin
        return value, move, call, value._version, saved.shape, saved.stride(), saved.storage_offset()

    def unpack(packed: Any) -> torch.Tensor:
        if isinstance(packed, torch.Tensor):
            return packed
        value, move, call, version, shape, stride, offset = packed
        if value._version != version:
            raise RuntimeError(
                "a sharded weight was changed in place between the forward pass and the backward pass, "
                "which gathers it again"
            )
        with torch.no_grad(), plain():
            return move.run(value, call).as_strided(shape, stride, offset)  # type: ignore[no-any-return]

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)
