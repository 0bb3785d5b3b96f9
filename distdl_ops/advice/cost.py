r"""What an expression costs, and what it sends. The answers follow from the layouts, without communication.

Four questions, one answer each:

==================  ====================================================================================
`linop.cost`        the largest over the ranks, of each step, added up: what rewriting compares
`costs`             the same for every rank by itself
`traffic`           the messages and bytes that each rank sends, as ``world.traffic`` counts them
`cost_on`           the cost with the spaces laid out on another number of ranks, see `scaling`
==================  ====================================================================================

They count operations, bytes read and written, messages, and bytes that go between ranks (sent or received, whichever is
more). A `Machine` makes seconds of them. Each operator that communicates answers in its own file; this file knows none
of them. What a movement costs follows from its two layouts, see `distdl_ops.advice.movement_cost`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import singledispatch
from typing import final

import numpy as np

from distdl_ops.advice.volumes import held_by_rank
from distdl_ops.layouts.layout import Layout
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds.world import Traffic
from linop import Cost, Inverse, Kron, LinearOperator, Product, Scale, Space, SpaceError, cost, parts
from linop.arguments import checked
from linop.errors import ArgumentTypeError
from linop.queries.cost import OPERATIONS_PER_BYTE, held
from linop.query import Answer, Reply, query

SENT = 8
"""A byte between two ranks costs as much as so many within one: about what memory is faster than a network."""

MESSAGE = 100_000
"""A message costs as much as so many bytes: about ten microseconds, with what it takes to hand it over."""

Relay = Callable[[Layout], Layout]
"""What lays a tensor out on another number of ranks."""


@checked
@final
@dataclass(frozen=True)
class ParallelCost(Cost):
    """A `linop.Cost` with messages. Costs add up, and can be compared.

    Attributes
    ----------
    flops, bytes : int
        As of a `linop.Cost`: operations, and bytes read and written in memory.
    messages : int
        Between ranks.
    sent : int
        Bytes in them.

    Examples
    --------
    >>> ParallelCost(messages=1, sent=80) + Cost(flops=10, bytes=160)
    ParallelCost(flops=10, bytes=160, messages=1, sent=80)
    """

    messages: int = 0
    sent: int = 0

    @property
    def time(self) -> int:
        """An estimate of the time, in operations."""
        return super().time + OPERATIONS_PER_BYTE * (SENT * self.sent + MESSAGE * self.messages)

    def __add__(self, other: Cost) -> ParallelCost:
        if not isinstance(other, Cost):
            return NotImplemented
        messages, sent = (other.messages, other.sent) if isinstance(other, ParallelCost) else (0, 0)
        flops, moved = self.flops + other.flops, self.bytes + other.bytes
        return ParallelCost(flops, moved, self.messages + messages, self.sent + sent)

    __radd__ = __add__

    def __mul__(self, times: int) -> ParallelCost:
        if not isinstance(times, int):
            return NotImplemented
        return ParallelCost(times * self.flops, times * self.bytes, times * self.messages, times * self.sent)

    __rmul__ = __mul__


# -- vectors -----------------------------------------------------------------------------------------------------------


@held.register
def _(space: DistributedSpace) -> int:
    return space.layout.largest_part * (2 if space.field == "real" and space.dtype.kind == "c" else 1)


def entries_by_rank(space: Space) -> np.ndarray:
    """Return how many entries of a vector each rank holds: Python's integers, whose products do not wrap."""
    return _entries_by_rank(space.unweighted)


@singledispatch
def _entries_by_rank(space: Space) -> np.ndarray:
    raise ArgumentTypeError(f"costs: expected operator to lie between distributed spaces, found {space!r}")


@_entries_by_rank.register
def _(space: DistributedSpace) -> np.ndarray:
    return held_by_rank(space.layout, space.grid.world.size).astype(object)


@_entries_by_rank.register
def _(space: Product) -> np.ndarray:
    return sum(map(entries_by_rank, space.parts[1:]), entries_by_rank(space.parts[0]))


def nobody_holds(kind: type[Space], ranks: Callable[..., int]) -> None:
    """Register a space of vectors that no rank holds, and how many ranks there are."""
    held.register(kind, lambda _: 0)
    _entries_by_rank.register(kind, lambda space: np.zeros(ranks(space), object))


def world_size(space: Space) -> int:
    """Return how many ranks a space is spread over."""
    return entries_by_rank(space).size if space.spread else 1


# -- the largest over the ranks ----------------------------------------------------------------------------------------


@query
def cost_on(operator: LinearOperator, *, relaid: Relay) -> Reply[ParallelCost]:
    """Return what an operator costs with its spaces laid out anew: its parts, and its own work as entries go."""
    beyond = yield from beyond_parts(operator)
    total = share(beyond, min((operator.codomain, operator.domain), key=held), relaid)
    for part in parts(operator):
        total += yield part
    return total


def as_laid_out(operator: LinearOperator) -> ParallelCost:
    """Return what an operator costs as its spaces are laid out: its `linop.cost`, of one that answers `cost_on`."""
    as_it_is: ParallelCost = cost_on(operator, relaid=lambda layout: layout)
    return as_it_is


def share(whole: Cost, space: Space, relaid: Relay) -> ParallelCost:
    """Return a cost that grows with the entries of a space."""
    if whole == Cost():
        return ParallelCost()
    layout = distributed(space).layout
    before, after = max(layout.largest_part, 1), relaid(layout).largest_part
    return ParallelCost(whole.flops * after // before, whole.bytes * after // before)


def distributed(space: Space) -> DistributedSpace:
    """Return a distributed space without its weights; raise where it is none."""
    plain = space.unweighted
    if not isinstance(plain, DistributedSpace):
        raise SpaceError(f"scaling: expected a distributed space, found {space!r}")
    return plain


def beyond_parts(operator: LinearOperator) -> Reply[Cost]:
    """Return what an expression costs beside its parts: sums and multiples, say."""
    whole: Cost = yield cost.about(operator)
    flops, moved = whole.flops, whole.bytes
    for part in parts(operator):
        inside: Cost = yield cost.about(part)
        flops, moved = flops - inside.flops, moved - inside.bytes
    return Cost(flops, moved)


# -- every rank by itself ----------------------------------------------------------------------------------------------


@checked
def costs(operator: LinearOperator) -> list[ParallelCost]:
    """Return what an expression costs every rank by itself, in the order of ranks. No communication.

    Parameters
    ----------
    operator : LinearOperator
        An expression on distributed spaces.

    Returns
    -------
    list of ParallelCost
        What sums and multiples take is shared out as their vectors are.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (9, 5), rows=Split(0))
    ...     return [(cost.messages, cost.sent) for cost in costs(HaloExchange(S, {0: (1, 1)}))]
    >>> simulate(3, main)[0]                                        # two neighbours each, one at the ends
    [(1, 40), (2, 80), (1, 40)]
    """
    return [ParallelCost(*map(int, column)) for column in cost_table(operator).T]


@query
def cost_table(operator: LinearOperator) -> Reply[np.ndarray]:
    """Return four rows, the attributes of a `ParallelCost`, of one column for each rank: of Python's integers."""
    beyond = yield from beyond_parts(operator)
    space = min((operator.codomain, operator.domain), key=held) if isinstance(operator, Scale) else operator.codomain
    entries, largest = entries_by_rank(space), max(held(space), 1)
    total = np.stack([beyond.flops * entries // largest, beyond.bytes * entries // largest, 0 * entries, 0 * entries])
    for part in parts(operator):
        total = total + (yield part)
    return total


# -- what goes out -----------------------------------------------------------------------------------------------------


@checked
@query
def traffic(operator: LinearOperator) -> Answer[list[Traffic]]:
    """Return what one application to one vector sends, rank by rank: what ``world.traffic`` counts. No communication.

    An operator of your own that communicates registers itself.

    Parameters
    ----------
    operator : LinearOperator
        An expression on distributed spaces.

    Returns
    -------
    list of Traffic
        In the order of ranks.

    Raises
    ------
    TypeError
        For inverses, of which nobody knows how many steps they take.

    Examples
    --------
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Movement, Replicated, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=5), (10, 3), rows=Split(0))
    ...     C = S.with_roles(rows=Copies())
    ...     return traffic(Movement(C, C.with_roles(rows=Replicated())) @ Movement(S, C))[1]
    >>> simulate(5, main)[0]
    Traffic(messages=4, bytes=192, collectives=1)
    """
    total = [Traffic() for _ in range(world_size(operator.domain))]
    for part in parts(operator):
        sent = yield part
        total = [sum_traffic(both) for both in zip(total, sent, strict=True)]
    return total


@traffic.register
def _(operator: Inverse | Kron) -> list[Traffic]:
    raise ArgumentTypeError(f"traffic: how much {operator!r} sends is not known")


def sum_traffic(parts: Iterable[Traffic]) -> Traffic:
    """Return what several operators send together."""
    total = Traffic()
    for part in parts:
        total.messages += part.messages
        total.bytes += part.bytes
        total.collectives += part.collectives
    return total
