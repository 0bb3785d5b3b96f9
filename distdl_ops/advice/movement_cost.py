r"""What the movement between two layouts costs and sends: no world, no plan, no communication.

A movement is the sparse exchange of its plan, unless the roles of its spaces name a collective, see `way`. A collective
of b bytes on n ranks costs the cheaper of two algorithms (Chan et al., Concurrency Computat. Pract. Exper. 19 (2007)
1749): along a tree, :math:`\lceil\log_2 n\rceil` messages of b bytes; by halves, twice as many messages, of
:math:`2 b (n-1)/n` bytes together.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from distdl_ops.advice.cost import MESSAGE, SENT, ParallelCost
from distdl_ops.advice.volumes import held_by_rank, on_grid, volumes
from distdl_ops.layouts.layout import Layout
from distdl_ops.transfer.collective import way
from distdl_ops.worlds.world import Traffic

REMEMBERED = 10_000
"""Up to how many ranks a layout may have for what it costs to be kept in memory: rewriting asks again and again."""


def movement_cost(source: Layout, target: Layout, itemsize: int) -> ParallelCost:
    """Return what ``M(S, T)`` costs, the largest over the ranks, from its layouts and the bytes of an entry.

    Examples
    --------
    >>> from distdl_ops import Split
    >>> S, T = (Layout({"rows": 1000}, (2000, 3000), {"rows": Split(k)}) for k in (0, 1))
    >>> movement_cost(S, T, 8)
    ParallelCost(flops=0, bytes=96000, messages=999, sent=47952)
    """
    largest = _largest if max(source.places.span, target.places.span) <= REMEMBERED else _largest.__wrapped__
    flops, entries, messages, sent = largest(source, target)
    return ParallelCost(flops, itemsize * entries, messages, itemsize * sent)


@lru_cache(maxsize=1024)
def _largest(source: Layout, target: Layout) -> tuple[int, int, int, int]:
    """Return the largest numbers over the ranks: of additions, entries read and written, messages, and entries sent."""
    ranks = max(source.places.span, target.places.span)
    entries = int((held_by_rank(source, ranks) + held_by_rank(target, ranks)).max())
    if _stays(source, target):
        return 0, entries, 0, 0
    how = way(source, target)
    if how is None:
        adds, messages, sent = exchange_cost(source, target)
        return adds, entries, messages, sent
    part = max(source.largest_part, target.largest_part)
    return 0 if how.kind == "broadcast" else part, entries, *_collective(how.ranks, part)


def exchange_cost(source: Layout, target: Layout) -> tuple[int, int, int]:
    """Return the largest numbers over the ranks of a sparse exchange: of additions, messages, and entries sent."""
    ranks = max(source.places.span, target.places.span)
    adds, messages, sent = (int(numbers.max()) for numbers in exchange_costs(source, target, ranks))
    return adds, messages, sent


def exchange_costs(source: Layout, target: Layout, ranks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each of so many ranks the additions, messages and entries of a sparse exchange."""
    padded = (np.pad(numbers, (0, ranks - numbers.size)) for numbers in volumes(source, target))
    messages_out, entries_out, messages_in, entries_in, kept = padded
    adds = 0 * kept if source.holds_once else entries_in
    return adds, np.maximum(messages_out, messages_in), np.maximum(entries_out, entries_in)


def _stays(source: Layout, target: Layout) -> bool:
    """Say whether every rank has what it needs: what moves was replicated, or moves along axes of one rank."""
    return source.same_grid(target) and all(
        source.roles[axis].replicated or source.axes[axis] == 1 for axis in source.moving_axes(target)
    )


def _collective(ranks: int, entries: int) -> tuple[int, int]:
    """Return the messages and entries of a collective, by the better one of two algorithms."""
    steps = math.ceil(math.log2(ranks))
    halves = 2 * steps, -(-2 * entries * (ranks - 1) // ranks)
    return min((steps, steps * entries), halves, key=lambda way: MESSAGE * way[0] + 8 * SENT * way[1])


def movement_costs(source: Layout, target: Layout, itemsize: int, ranks: int) -> np.ndarray:
    """Return what ``M(S, T)`` costs each of so many ranks: four rows, the attributes of a `ParallelCost`."""
    before, after = (held_by_rank(layout, ranks).astype(object) for layout in (source, target))
    how = way(source, target)
    if how is None:
        adds, messages, sent = exchange_costs(source, target, ranks)
    else:
        inside = on_grid(source, ranks)
        # A line of the grid shares one part of the tensor, of which those that hold nothing have the others'.
        part = _along_lines(np.maximum(before, after), source, target)
        messages, sent = np.array([_collective(how.ranks, int(n)) for n in part], object).T * inside
        adds = 0 * part if how.kind == "broadcast" else part * inside
    return np.stack([adds, itemsize * (before + after), messages, itemsize * sent])


def _along_lines(part: np.ndarray, source: Layout, target: Layout) -> np.ndarray:
    """Return the largest number on each line of the grid along which something moves, for every rank."""
    moving = source.moving_axes(target)
    members = np.asarray(source.places.members, np.int64)
    grid = part[members].reshape(tuple(source.axes.values()))
    along = tuple(k for k, name in enumerate(source.axes) if name in moving)
    largest = np.zeros_like(part)
    largest[members] = np.broadcast_to(grid.max(axis=along, keepdims=True), grid.shape).ravel()
    return largest


def movement_traffic(source: Layout, target: Layout, itemsize: int, ranks: int) -> list[Traffic]:
    """Return what ``M(S, T)`` sends from each of so many ranks: a collective on the grid, or messages."""
    if way(source, target) is None:
        return exchange_traffic(source, target, itemsize, ranks)
    return [Traffic(collectives=int(inside)) for inside in on_grid(source, ranks)]


def exchange_traffic(source: Layout, target: Layout, itemsize: int, ranks: int) -> list[Traffic]:
    """Return what a sparse exchange sends from each of so many ranks."""
    sent = [Traffic() for _ in range(ranks)]
    out = volumes(source, target)
    for traffic, messages, entries in zip(sent, out.messages_out, out.entries_out, strict=False):
        traffic.messages, traffic.bytes = int(messages), itemsize * int(entries)
    return sent
