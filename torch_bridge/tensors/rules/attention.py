"""Attention: batch, heads and queries may be split; every query sees all keys."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from distdl_ops import Split
from torch_bridge.tensors.axes import settle
from torch_bridge.tensors.call import KEYED, Call, Plan, Spec, direct
from torch_bridge.tensors.call import rule_of_intervals as rule
from torch_bridge.tensors.random import uniform
from torch_bridge.tensors.ring import Ring, sequence, steps
from torch_bridge.tensors.rules.names import known


@rule(*known("scaled_dot_product_attention"))
def attention(
    call: Call,
    query: Spec,
    key: Spec,
    value: Spec,
    attn_mask: Spec | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Each rank attends for its queries: keys and values are brought together along the sequence."""
    if dropout_p > 0:
        return _written_out
    shape = tuple(call.meta().shape)
    ndim = len(shape)
    batch = [f"b{k}" for k in range(ndim - 2)]

    def labels(spec: Spec, last: list[Any]) -> list[Any]:
        names: list[Any] = [*batch[len(batch) - (spec.ndim - 2) :], *last]
        offset = ndim - spec.ndim
        for k in range(spec.ndim - 2):
            if spec.shape[k] != shape[offset + k]:
                names[k] = None
        return names

    operands = [
        (query, labels(query, ["q", None])),
        (key, labels(key, [None, None])),
        (value, labels(value, [None, None])),
    ]
    if attn_mask is not None:
        operands.append((attn_mask, labels(attn_mask, ["q" if attn_mask.shape[-2] == shape[-2] else None, None])))
    whole = [batch[-1]] if enable_gqa and batch else []
    assignment = settle(call.grid, [(spec.placement, names) for spec, names in operands], whole)
    targets = [assignment.placement(spec.shape, [None if n in whole else n for n in names]) for spec, names in operands]
    result = assignment.placement(shape, [*batch, "q", None])
    compute = None
    axis = _sequence_axis(call.grid, assignment, query, key, value)
    way = sequence.get() if axis and not enable_gqa else "gather"
    if way == "all-to-all":
        parts, heads = call.grid.axes[axis], ndim - 3
        three = (query, key, value)
        if ndim > 2 and all(spec.ndim == ndim and parts <= spec.shape[heads] == shape[heads] for spec in three):
            return _by_heads(axis, heads)
    if way == "ring":
        for k, spec in ((1, key), (2, value)):
            targets[k] = targets[k].having({axis: Split(spec.ndim - 2, _split(spec.placement, axis))})
        ring = steps(result, targets[1], targets[2], axis, is_causal)
        rows = (result.layout.intervals_at(call.grid.world.rank) or ((0, 0),) * ndim)[-2]
        factor = query.shape[-1] ** -0.5 if scale is None else scale

        def travel(_: Call, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *mask: torch.Tensor) -> torch.Tensor:
            return Ring.apply(q, k, v, mask[0] if mask else None, ring, rows, is_causal, factor)  # type: ignore[no-any-return, no-untyped-call]

        return Plan(targets, result, travel, skip=False, note="ring")
    if is_causal and assignment.splits_label("q"):
        first = (result.layout.intervals_at(call.grid.world.rank) or ((0, 0),) * ndim)[-2][0]
        keys = key.shape[-2]

        def compute(_: Call, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *__: torch.Tensor) -> torch.Tensor:
            rows = torch.arange(first, first + q.shape[-2], device=q.device)
            seen = rows[:, None] >= torch.arange(keys, device=q.device)[None, :]
            return F.scaled_dot_product_attention(q, k, v, seen, scale=scale, enable_gqa=enable_gqa)

    return Plan(targets, result, compute)


def _split(placement: Any, axis: str) -> Any:
    """Return the intervals in which a grid axis splits a sequence."""
    return placement.roles[axis].intervals


def _sequence_axis(grid: Any, assignment: Any, query: Spec, key: Spec, value: Spec) -> str:
    """Return the one grid axis that splits queries, keys and values along the sequence; an empty text without one."""
    axes = [name for name, (label, _) in assignment.splits.items() if label == "q" and grid.axes[name] > 1]
    if len(axes) != 1 or query.ndim < 2:
        return ""
    roles = [spec.placement.roles[axes[0]] for spec in (key, value)]
    along = all(role.axis == spec.ndim - 2 for role, spec in zip(roles, (key, value), strict=True))
    return axes[0] if along and _split(key.placement, axes[0]) == _split(value.placement, axes[0]) else ""


def _by_heads(axis: str, heads: int) -> Any:
    """Return attention in which heads are split in place of the sequence: four movements from all to all."""

    def attend(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        moved = [x.redistribute(**{axis: Split(heads)}) for x in (query, key, value)]
        result: Any = F.scaled_dot_product_attention(*moved, *args, **kwargs)
        return result.redistribute(**{axis: query._placement.roles[axis].on(result.ndim - 2)})

    return attend


def _written_out(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Attention as its formula, with a mask of dropout that is the same on any layout."""
    if enable_gqa:
        key = key.repeat_interleave(query.size(-3) // key.size(-3), -3)
        value = value.repeat_interleave(query.size(-3) // value.size(-3), -3)
    scores = query @ key.transpose(-2, -1) * (query.size(-1) ** -0.5 if scale is None else scale)
    if is_causal:
        seen = torch.ones(query.size(-2), key.size(-2), dtype=torch.bool, device=query.device).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, float("-inf")) if attn_mask.dtype == torch.bool else scores + attn_mask
    return F.dropout(torch.softmax(scores, -1), dropout_p, True) @ value


KEYED[F.scaled_dot_product_attention] = sequence.get


@direct(torch._nested_tensor_from_mask_left_aligned)
def _nested(*_: Any) -> bool:
    """Torch's encoder asks whether it may leave padding out: it keeps it, as for all subclasses of tensors."""
    return False


__all__ = ["uniform"]
