r"""What an expression costs, and what it sends: found from the layouts, without communication.

Three questions, one answer each:

==================  ====================================================================================
`linop.cost`        the largest over the ranks, of each step, added up: what rewriting compares
`costs`             the same for every rank by itself
`traffic`           the messages and bytes that each rank sends, as ``world.traffic`` counts them
==================  ====================================================================================

They count operations, bytes read and written, messages, and bytes that go between ranks (sent or received, whichever is
more). A `Machine` makes seconds of them. A movement is the sparse exchange of its plan, unless the roles of its spaces
name a collective, see `way`; of a collective of b bytes on n ranks is counted what the better one of two algorithms
takes (Chan et al., Concurrency Computat. Pract. Exper. 19 (2007) 1749): along a tree, :math:`\lceil\log_2 n\rceil`
messages of b bytes; by halves, twice as many, of :math:`2 b (n-1)/n` bytes together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np

from distdl_ops.advice.volumes import flow, held_by_rank, on_grid
from distdl_ops.compositions.local import Local
from distdl_ops.layouts.layout import Layout
from distdl_ops.movement.in_flight import InFlight
from distdl_ops.movement.movement import Movement
from distdl_ops.movement.shift import Shift
from distdl_ops.movement.start_finish import Finish, Start
from distdl_ops.spaces import DistributedSpace
from distdl_ops.transfer.collective import way
from distdl_ops.worlds.world import Traffic
from linop import Cost, Inverse, Kron, LinearOperator, Product, Scale, Space, cost, parts
from linop.arguments import checked
from linop.errors import ArgumentTypeError
from linop.queries.cost import OPERATIONS_PER_BYTE, held
from linop.query import Answer, Reply, query

SENT = 8
"""A byte between two ranks costs as much as so many within one: about what memory is faster than a network."""

MESSAGE = 100_000
"""A message costs as much as so many bytes: about ten microseconds, with what it takes to hand it over."""


REMEMBERED = 10_000
"""Up to how many ranks a layout may have for what it costs to be kept in memory: rewriting asks again and again."""


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


# -- the largest over the ranks ----------------------------------------------------------------------------------------


def movement_cost(source: Layout, target: Layout, itemsize: int) -> ParallelCost:
    """Return what ``M(S, T)`` costs, the largest over the ranks, from its layouts and the bytes of an entry.

    Examples
    --------
    >>> from distdl_ops import Split
    >>> S, T = (Layout({"rows": 1000}, (2000, 3000), {"rows": Split(k)}) for k in (0, 1))
    >>> movement_cost(S, T, 8)
    ParallelCost(flops=0, bytes=96000, messages=999, sent=47952)
    """
    find = _largest if max(source.places.span, target.places.span) <= REMEMBERED else _largest.__wrapped__
    flops, entries, messages, sent = find(source, target)
    return ParallelCost(flops, itemsize * entries, messages, itemsize * sent)


@lru_cache(maxsize=1024)
def _largest(source: Layout, target: Layout) -> tuple[int, int, int, int]:
    """Return the largest numbers over the ranks: of additions, entries read and written, messages, and entries sent."""
    ranks = max(source.places.span, target.places.span)
    entries = int((held_by_rank(source, ranks) + held_by_rank(target, ranks)).max())
    if _stays(source, target):
        return 0, entries, 0, 0
    found = way(source, target)
    if found is not None:
        part = max(largest_part(source), largest_part(target))
        adds = 0 if found.kind == "broadcast" else part
        return adds, entries, *_collective(found.ranks, part)
    adds, messages, sent = (int(numbers.max()) for numbers in _exchange(source, target, ranks))
    return adds, entries, messages, sent


def _exchange(source: Layout, target: Layout, ranks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each of so many ranks the additions, messages and entries of a sparse exchange."""
    padded = (np.pad(numbers, (0, ranks - numbers.size)) for numbers in flow(source, target))
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
    return min((steps, steps * entries), halves, key=lambda found: MESSAGE * found[0] + 8 * SENT * found[1])


def largest_part(layout: Layout) -> int:
    """Return how many entries a rank holds, at most."""
    return layout.largest_part


@held.register
def _(space: DistributedSpace) -> int:
    return largest_part(space.layout) * (2 if space.field == "real" and space.dtype.kind == "c" else 1)


@cost.register
def _(operator: Movement) -> Cost:
    return movement_cost(operator.domain.layout, operator.codomain.layout, operator.domain.dtype.itemsize)


@held.register
def _(space: InFlight) -> int:  # noqa: ARG001
    """Nothing: nobody holds a tensor in flight."""
    return 0


@cost.register
def _(operator: Start | Finish) -> Cost:
    source, target = _ends(operator)
    return half_cost(operator, source, target)


def half_cost(operator: Start | Finish, source: Layout, target: Layout) -> ParallelCost:
    """Return what half of an exchange between these layouts costs: messages at the start, additions at the end."""
    ranks = max(source.places.span, target.places.span)
    adds, messages, sent = (int(numbers.max()) for numbers in _exchange(source, target, ranks))
    itemsize = operator.movement.domain.dtype.itemsize
    if isinstance(operator, Start):
        return ParallelCost(0, itemsize * largest_part(source), messages, itemsize * sent)
    return ParallelCost(adds, itemsize * largest_part(target))


def _ends(operator: Start | Finish) -> tuple[Layout, Layout]:
    """Return the layouts between which something is in flight."""
    return operator.movement.domain.layout, operator.movement.codomain.layout


@cost.register
def _(operator: Shift) -> Cost:
    space = operator.domain
    return shift_cost(operator, space.grid.axes[operator.axis], largest_part(space.layout))


def shift_cost(operator: Shift, length: int, entries: int) -> ParallelCost:
    """Return what a shift costs on a grid axis of some length, where a rank has at most so many entries."""
    part = entries * operator.domain.dtype.itemsize
    moves = entries > 0 and _shifts(operator, length)
    return ParallelCost(0, 2 * part, int(moves), part if moves else 0)


def _shifts(operator: Shift, length: int) -> bool:
    """Say whether a shift takes anything from one rank to another, on a grid axis of some length."""
    return operator.steps % length != 0 if operator.periodic else 0 < abs(operator.steps) < length


@cost.register
def _(operator: Local) -> Cost:
    return Cost(max(found.flops for found in operator.costs), max(found.bytes for found in operator.costs))


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
    ...     return [(found.messages, found.sent) for found in costs(HaloExchange(S, {0: (1, 1)}))]
    >>> simulate(3, main)[0]                                        # two neighbours each, one at the ends
    [(1, 40), (2, 80), (1, 40)]
    """
    return [ParallelCost(*map(int, column)) for column in _table(operator).T]


@query
def _table(operator: LinearOperator) -> Reply[np.ndarray]:
    """Return four rows, the attributes of a `ParallelCost`, of one column for each rank: of Python's integers."""
    own = yield from beyond_parts(operator)
    space = min((operator.codomain, operator.domain), key=held) if isinstance(operator, Scale) else operator.codomain
    entries, largest = _held_by_rank(space), max(held(space), 1)
    total = np.stack([own.flops * entries // largest, own.bytes * entries // largest, 0 * entries, 0 * entries])
    for part in parts(operator):
        total = total + (yield part)
    return total


@_table.register
def _(operator: Local) -> np.ndarray:
    return np.array([[found.flops, found.bytes, 0, 0] for found in operator.costs], object).T


@_table.register
def _(operator: Movement) -> np.ndarray:
    source, target, itemsize = operator.domain.layout, operator.codomain.layout, operator.domain.dtype.itemsize
    entries = _held_by_rank(operator.domain) + _held_by_rank(operator.codomain)
    how, ranks = way(source, target), entries.size
    if how is None:
        adds, messages, sent = _exchange(source, target, ranks)
    else:
        inside = on_grid(source, ranks)
        part = np.maximum(_held_by_rank(operator.domain), _held_by_rank(operator.codomain))
        # A line of the grid shares one part of the tensor, of which those that hold nothing have the others'.
        part = _along_lines(part, source, target)
        messages, sent = np.array([_collective(how.ranks, int(n)) for n in part], object).T * inside
        adds = 0 * part if how.kind == "broadcast" else part * inside
    return np.stack([adds, itemsize * entries, messages, itemsize * sent])


@_table.register
def _(operator: Start | Finish) -> np.ndarray:
    itemsize = operator.movement.domain.dtype.itemsize
    entries = _held_by_rank(operator.domain) + _held_by_rank(operator.codomain)  # nobody holds what is in flight
    adds, messages, sent = _exchange(*_ends(operator), entries.size)
    if isinstance(operator, Start):
        return np.stack([0 * entries, itemsize * entries, messages, itemsize * sent])
    return np.stack([adds, itemsize * entries, 0 * entries, 0 * entries])


def _along_lines(part: np.ndarray, source: Layout, target: Layout) -> np.ndarray:
    """Return the largest number on each line of the grid along which something moves, for every rank."""
    moving = source.moving_axes(target)
    members = np.asarray(source.places.members, np.int64)
    grid = part[members].reshape(tuple(source.axes.values()))
    along = tuple(k for k, name in enumerate(source.axes) if name in moving)
    largest = np.zeros_like(part)
    largest[members] = np.broadcast_to(grid.max(axis=along, keepdims=True), grid.shape).ravel()
    return largest


def _held_by_rank(space: Space) -> np.ndarray:
    """Return how many entries each rank holds: Python's integers, whose products with others do not wrap."""
    plain = space.unweighted
    if isinstance(plain, Product):
        return sum(map(_held_by_rank, plain.parts[1:]), _held_by_rank(plain.parts[0]))
    if isinstance(plain, InFlight):
        return np.zeros(_world_size(plain), object)
    if not isinstance(plain, DistributedSpace):
        raise ArgumentTypeError(f"costs: expected operator to lie between distributed spaces, found {space!r}")
    return held_by_rank(plain.layout, plain.grid.world.size).astype(object)


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
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Replicated, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=5), (10, 3), rows=Split(0))
    ...     C = S.with_roles(rows=Copies())
    ...     return traffic(Movement(C, C.with_roles(rows=Replicated())) @ Movement(S, C))[1]
    >>> simulate(5, main)[0]
    Traffic(messages=4, bytes=192, collectives=1)
    """
    total = _nothing(_world_size(operator.domain))
    for part in parts(operator):
        sent = yield part
        total = [sum_traffic(both) for both in zip(total, sent, strict=True)]
    return total


@traffic.register
def _(operator: Inverse | Kron) -> list[Traffic]:
    raise ArgumentTypeError(f"traffic: how much {operator!r} sends is not known")


@traffic.register
def _(operator: Movement) -> list[Traffic]:
    source, target, itemsize = operator.domain.layout, operator.codomain.layout, operator.domain.dtype.itemsize
    if way(source, target) is None:
        return _exchanged(source, target, itemsize, _world_size(operator.domain))
    return [Traffic(collectives=int(inside)) for inside in on_grid(source, _world_size(operator.domain))]


@traffic.register
def _(operator: Start) -> list[Traffic]:
    """All messages: an exchange, also where a movement would go by a collective."""
    return _exchanged(*_ends(operator), operator.domain.dtype.itemsize, _world_size(operator.domain))


def _exchanged(source: Layout, target: Layout, itemsize: int, ranks: int) -> list[Traffic]:
    """Return what a sparse exchange sends."""
    found, out = _nothing(ranks), flow(source, target)
    for one, messages, entries in zip(found, out.messages_out, out.entries_out, strict=False):
        one.messages, one.bytes = int(messages), itemsize * int(entries)
    return found


@traffic.register
def _(operator: Shift) -> list[Traffic]:
    space, found = operator.domain, _nothing(_world_size(operator.domain))
    length = space.grid.axes[operator.axis]
    for rank in space.grid.places.members if _shifts(operator, length) else ():
        place = space.grid.coordinates_of(rank)
        shape = space.layout.shape_at(rank)
        beyond = place is None or not 0 <= place[operator.axis] + operator.steps < length
        if 0 not in shape and (operator.periodic or not beyond):
            found[rank].messages, found[rank].bytes = 1, math.prod(shape) * space.dtype.itemsize
    return found


def sum_traffic(parts: Iterable[Traffic]) -> Traffic:
    """Return what several operators send together."""
    total = Traffic()
    for part in parts:
        total.messages += part.messages
        total.bytes += part.bytes
        total.collectives += part.collectives
    return total


def _nothing(ranks: int) -> list[Traffic]:
    return [Traffic() for _ in range(ranks)]


def _world_size(space: Space) -> int:
    """Return how many ranks a space is spread over."""
    plain = space.unweighted
    if isinstance(plain, Product):
        return _world_size(plain.parts[0])
    if isinstance(plain, InFlight):
        return _world_size(plain.ends[0])
    return plain.grid.world.size if isinstance(plain, DistributedSpace) else 1
