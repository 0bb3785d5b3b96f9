r"""Attention along a sequence that is split: blocks of keys and values travel, one at a time.

.. math:: y = \sum_b e^{s_b - \ell} v_b, \qquad s_b = \alpha q k_b^T + m_b, \qquad
    \ell = \log \sum_b \sum_j e^{s_{bj}}

Each rank keeps its queries and sees the blocks of the other ranks one after another: in step r that of the r-th rank
before it, moved there by the movement to the same intervals, r ranks on. A block that a causal mask hides from all
queries of a rank is not sent to it. The sum over blocks is kept with the largest score so far (Milakov and Gimelshein,
*Online normalizer calculation for softmax*, 2018). Backward, blocks travel again, so that no rank ever holds more than
one besides its own, and gradients of blocks go back by the adjoint movements:

.. math:: d v_b = p_b^T\, d y, \quad d s_b = p_b \circ (d y\, v_b^T - \langle d y, y \rangle), \quad
    d q = \alpha \sum_b d s_b k_b, \quad d k_b = \alpha\, d s_b^T q.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch

from distdl_ops import Split
from torch_bridge.compat import plain
from torch_bridge.tensors.movement import Move, move_between
from torch_bridge.tensors.placement import Placement

sequence: ContextVar[str] = ContextVar("sequence", default="gather")
"""How attention along a sequence that is split brings queries and keys together."""


@contextlib.contextmanager
def sequence_attention(way: str) -> Iterator[None]:
    """Within this context, attention along a sequence that is split is computed in another way. The numbers are equal.

    Parameters
    ----------
    way : {"gather", "ring", "all-to-all"}
        ``"gather"``: every rank has all keys and values, its own queries. ``"ring"``: keys and values travel round,
        block by block; a rank holds one block besides its own. ``"all-to-all"``: heads are split in place of the
        sequence, where there are enough. What a way cannot do (dropout of weights, a mask with a gradient) is
        gathered. Backward passes belong into the context where they compute something again (checkpoints).

    Examples
    --------
    >>> import torch
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge.tensors import distribute_tensor
    >>> def main(world):
    ...     x = distribute_tensor(torch.eye(4).reshape(1, 1, 4, 4), Grid(world, rows=2), rows=Split(2))
    ...     with sequence_attention("ring"):
    ...         y = torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    ...     return y.full_tensor()[0, 0, 0].tolist()
    >>> simulate(2, main)[0]
    [1.0, 0.0, 0.0, 0.0]
    """
    if way not in ("gather", "ring", "all-to-all"):
        raise ValueError(f"sequence_attention: expected 'gather', 'ring' or 'all-to-all', found {way!r}")
    token = sequence.set(way)
    try:
        yield
    finally:
        sequence.reset(token)


class Step(NamedTuple):
    """What a rank sees at a time: how keys and values come there, and which they are, of the whole sequence."""

    keys: Move
    values: Move
    start: int
    stop: int


def steps(query: Placement, key: Placement, value: Placement, axis: str, causal: bool) -> list[Step]:
    """Return the steps in which blocks travel along a grid axis. The same on every rank but for what it sees.

    Parameters
    ----------
    query, key, value : Placement
        Whose last axis but one is split by the grid axis.
    axis : str
        The grid axis.
    causal : bool
        Whether a query sees no keys after it.
    """
    queries, blocks = (_intervals(placement, axis) for placement in (query, key))
    here = key.grid.coordinates
    made = []
    for r in range(len(blocks)):
        seen = []
        for c, (first, last) in enumerate(queries):
            start, stop = blocks[(c - r) % len(blocks)]
            seen.append((start, stop) if first < last and start < stop and (not causal or start < last) else (0, 0))
        if any(start < stop for start, stop in seen):
            keys, values = (
                move_between(of, of.having({axis: Split(len(of.shape) - 2, seen, gaps=True)})) for of in (key, value)
            )
            start, stop = seen[here[axis]] if here is not None else (0, 0)
            made.append(Step(keys, values, start, stop))
    return made


def _intervals(placement: Placement, axis: str) -> list[tuple[int, int]]:
    role: Any = placement.roles[axis]
    return list(role.intervals_over(placement.grid.axes[axis], placement.shape[-2]))


class Ring(torch.autograd.Function):
    """Attention of this rank's queries for blocks that come one after another."""

    @staticmethod
    def forward(
        ctx: Any, q: Any, k: Any, v: Any, mask: Any, ring: list[Step], rows: tuple[int, int], causal: bool, scale: float
    ) -> torch.Tensor:
        """Return this rank's part of the result."""
        wide = torch.float32 if q.dtype in (torch.float16, torch.bfloat16) else q.dtype
        queries = q.to(wide) * scale
        largest = queries.new_full((*q.shape[:-1], 1), -torch.inf)
        total, result = torch.zeros_like(largest), queries.new_zeros((*q.shape[:-1], v.shape[-1]))
        for step in ring:
            keys, values = step.keys(k), step.values(v)
            if keys.numel() == 0 or queries.numel() == 0:
                continue
            scores = _scores(queries, keys.to(wide), mask, step, rows, causal)
            before, largest = largest, torch.maximum(largest, scores.amax(-1, keepdim=True))
            origin = largest.masked_fill(largest == -torch.inf, 0)
            weights, fade = (scores - origin).exp(), (before - origin).exp()
            total = fade * total + weights.sum(-1, keepdim=True)
            result = fade * result + weights @ values.to(wide)
        result = result / total.masked_fill(total == 0, 1)
        logarithm = largest.masked_fill(largest == -torch.inf, 0) + total.masked_fill(total == 0, 1).log()
        ctx.save_for_backward(q, k, v, mask, result, logarithm)
        ctx.ring, ctx.rows, ctx.causal, ctx.scale, ctx.wide = ring, rows, causal, scale, wide
        return result.to(q.dtype)  # type: ignore[no-any-return]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        """Return this rank's gradients of queries, keys and values."""
        with plain():
            q, k, v, mask, result, logarithm = ctx.saved_tensors
            wide = ctx.wide
            queries, gradient = q.to(wide) * ctx.scale, gradient.to(wide)
            shift = (gradient * result).sum(-1, keepdim=True)
            dq, dk, dv = (torch.zeros(x.shape, dtype=wide, device=x.device) for x in (q, k, v))
            for step in ctx.ring:
                keys, values = step.keys(k).to(wide), step.values(v).to(wide)
                dkeys, dvalues = torch.zeros_like(keys), torch.zeros_like(values)
                if keys.numel() and queries.numel():
                    weights = (_scores(queries, keys, mask, step, ctx.rows, ctx.causal) - logarithm).exp()
                    dvalues = weights.mT @ gradient
                    dscores = weights * (gradient @ values.mT - shift)
                    dq += dscores @ keys
                    dkeys = dscores.mT @ queries
                dk += step.keys.dual(dkeys)
                dv += step.values.dual(dvalues)
            return (dq * ctx.scale).to(q.dtype), dk.to(k.dtype), dv.to(v.dtype), *[None] * 5


def _scores(
    queries: torch.Tensor, keys: torch.Tensor, mask: Any, step: Step, rows: tuple[int, int], causal: bool
) -> torch.Tensor:
    """Return the scores of a block, minus infinity where a mask hides."""
    scores = queries @ keys.mT
    if causal and step.stop - 1 > rows[0]:
        later = torch.arange(step.start, step.stop) > torch.arange(*rows)[:, None]
        scores = scores.masked_fill(later.to(scores.device), -torch.inf)
    if mask is not None:
        columns = mask[..., step.start : step.stop] if mask.shape[-1] > 1 else mask
        scores = scores.masked_fill(~columns, -torch.inf) if mask.dtype == torch.bool else scores + columns
    return scores
