"""What movements and local operators cost, all ranks together; see `linop.cost`.

A movement reads its argument and writes its result, and entries that go to another rank are packed, sent and unpacked:
each counts as `SENT` times a byte that is moved within a rank, and each message as `MESSAGE` bytes. The numbers are the
same on every rank.
"""

from __future__ import annotations

import math

from distdl_ops.local import Local
from distdl_ops.movement.movement import Movement
from distdl_ops.plan import Plan
from linop import Cost, cost

SENT = 8
"""A byte between two ranks costs as much as so many within one: about what memory is faster than a network."""

MESSAGE = 10_000
"""A message costs as much as so many bytes: its latency, a few microseconds."""


@cost.register
def _(operator: Movement) -> Cost:
    source, target = operator.domain, operator.codomain
    size = source.dtype.itemsize
    ranks = source.grid.world.size
    stored = sum(math.prod(space.layout.shape_at(rank)) for space in (source, target) for rank in range(ranks))
    messages, entries = traffic(operator)
    return Cost(0, size * stored + SENT * size * entries + MESSAGE * messages)


def traffic(operator: Movement) -> tuple[int, int]:
    """Return how many messages a movement sends between ranks, and how many entries are in them, all ranks together.

    It is that of the sparse exchange, which the collectives of a library improve upon. Found without communication.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (9, 5), rows=Split(0))
    ...     return traffic(HaloExchange(S, {0: (1, 1)}))
    >>> simulate(3, main)[0]                                        # two neighbours each, one at the ends
    (4, 20)
    """
    source, target = operator.domain.layout, operator.codomain.layout
    messages = entries = 0
    for rank in range(source.ranks):
        for other, boxes in Plan(source, target, rank).sends:
            if other != rank:
                messages += 1
                entries += sum(math.prod(s.stop - s.start for s in box) for box in boxes)
    return messages, entries


@cost.register
def _(operator: Local) -> Cost:
    """Add up what the ranks tell; collective."""
    return sum(operator.domain.grid.world.allgather(cost(operator.operator), "cost"), Cost())
