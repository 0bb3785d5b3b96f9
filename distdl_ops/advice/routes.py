r"""A movement in several steps, where that costs less than one.

A layout X between S and T that holds every entry of the tensor as one (:math:`E_X^* E_X = E_X E_X^* = I`, up to
replicas) may be passed through: :math:`M(X, T)\, M(S, X) = E_T E_X^* E_X E_S^* = M(S, T)`. So orders of single-axis
steps, a reduce-scatter and an all-gather in place of an all-reduce, and the direct exchange are paths between the same
two ends; the cheapest is a shortest path.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, final

from distdl_ops.advice.cost import ParallelCost
from distdl_ops.advice.movement_cost import movement_cost
from distdl_ops.layouts.describe import counted
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.layouts.roles import Replicated, Role, Split
from distdl_ops.movement.movement import Movement, movement_between
from distdl_ops.spaces import DistributedSpace, rearranged
from linop import Cost, Identity, LinearOperator, SpaceError, cost
from linop.arguments import checked

Price = Callable[[Cost], Any]
"""What is compared: the seconds of a `Machine`, or the time of a cost."""


def operations(spent: Cost) -> int:
    """Return the time of a cost: what `linop.simplify` compares."""
    return spent.time


def layouts_between(source: Layout, target: Layout, *, every: bool = False) -> Iterator[Layout]:
    """Yield the layouts on the way from S to T that lose nothing: those by which a movement may pass.

    Along each grid axis along which something moves, they play the source's role or the target's; replicas before
    copies; and a balanced split of the longest tensor axis where all of it comes from or goes to everyone.

    Parameters
    ----------
    source, target : Layout
        S and T.
    every : bool, optional
        Whether replicas and splits of every tensor axis are tried along every grid axis.

    Examples
    --------
    >>> from distdl_ops.layouts.roles import Copies
    >>> S, T = (Layout({"p": 2}, (4, 6), {"p": role}) for role in (Copies(), Replicated()))
    >>> for layout in layouts_between(S, T, every=True):
    ...     print(layout)
    (4, 6) p=Split(0)
    (4, 6) p=Split(1)
    """
    if not source.same_grid(target):
        return
    moving = [name for name in source.moving_axes(target) if source.axes[name] > 1]
    choices = [_roles(source, target, name, every=every) for name in moving]
    for roles in itertools.product(*choices):
        try:
            layout = Layout(source.axes, source.shape, {**source.roles, **dict(zip(moving, roles, strict=True))})
        except SpaceError:  # roles that do not fit together: intervals of parts, say, without these
            continue
        if layout not in (source, target) and loses_nothing(layout):
            yield layout


def _roles(source: Layout, target: Layout, name: str, *, every: bool) -> list[Role]:
    """Return the roles to try along a grid axis."""
    ends = source.roles[name], target.roles[name]
    simple: list[Role] = []
    axes = sorted(range(len(source.shape)), key=lambda axis: -source.shape[axis])
    if every or ends[1].copies(target.axes[name]) > 1:
        simple.append(Replicated())
    if every:
        simple += [Split(axis) for axis in sorted(axes)]
    elif all(role.axis is None for role in ends):
        simple += [Split(axis) for axis in axes[:1]]
    return list(dict.fromkeys([*ends, *simple]))


def loses_nothing(layout: Layout) -> bool:
    """Say whether every entry of the tensor is held as one, and every held entry is one: on some rank, or on replicas.

    Examples
    --------
    >>> from distdl_ops.layouts.roles import Copies
    >>> loses_nothing(Layout({"p": 2}, (4,), {"p": Split(0)})), loses_nothing(Layout({"p": 2}, (4,), {"p": Copies()}))
    (True, False)
    """
    return layout.holds_once and multiplicity(layout).constant == 1


def shortest_path(source: Layout, target: Layout, itemsize: int, price: Price) -> tuple[Layout, ...]:
    """Return the layouts by which a movement passes at least cost, without its ends: none where it goes directly.

    Where paths cost the same, the one of fewer steps is returned.

    Parameters
    ----------
    source, target : Layout
        S and T.
    itemsize : int
        Bytes of an entry.
    price : callable
        Makes of a cost what is compared.
    """
    stations = [source, *layouts_between(source, target), target]
    end = len(stations) - 1
    best = [(0.0, 0)] + [(math.inf, 0)] * end
    waiting: list[tuple[float, int, tuple[int, ...]]] = [(0.0, 0, (0,))]
    while waiting:
        so_far, steps, path = heapq.heappop(waiting)
        if path[-1] == end:
            return tuple(stations[k] for k in path[1:-1])
        for k in set(range(1, end + 1)).difference(path):
            reached = so_far + price(movement_cost(stations[path[-1]], stations[k], itemsize)), steps + 1
            if reached < min(best[k], best[end]):  # nothing is for free: a dearer way cannot become cheaper
                best[k] = reached
                heapq.heappush(waiting, (*reached, (*path, k)))
    raise AssertionError("the direct movement is a path")


@lru_cache(maxsize=1024)
def _cheapest_path(source: Layout, target: Layout, itemsize: int) -> tuple[Layout, ...]:
    """Return the shortest path in the measure of `linop.cost`, which rewriting asks for again and again."""
    return shortest_path(source, target, itemsize, operations)


def cheapest_route(source: DistributedSpace, target: DistributedSpace) -> LinearOperator:
    """Return ``M(S, T)`` as the product of movements that costs least: itself, or steps; or as the identity.

    No communication: for spaces that all ranks agree on. See `advise` for others.
    """
    if source == target and source.layout.holds_once:
        return Identity(source)
    path = _cheapest_path(source.layout, target.layout, source.dtype.itemsize)
    return _passing(source, target, path)


def _passing(source: DistributedSpace, target: DistributedSpace, path: tuple[Layout, ...]) -> LinearOperator:
    """Return the product of movements through some layouts."""
    stations = [source, *(rearranged(source, layout.roles) for layout in path), target]
    product: LinearOperator = Identity(source)
    for pair in itertools.pairwise(stations):
        product = movement_between(*pair) @ product
    return product


@final
class Advice(NamedTuple):
    """One way to move a tensor from a layout to another, and what it costs.

    Attributes
    ----------
    operator : LinearOperator
        The movement, or the product of movements.
    cost : ParallelCost
        Of the busiest rank.
    time : float
        What was compared; seconds, when a `Machine` was asked.

    Examples
    --------
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Split, advise, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    ...     best = advise(S, S.with_roles(p=Copies()))[0]
    ...     return str(best.operator), best.cost.messages
    >>> simulate(4, main)[0]
    ('AllGather(p)', 3)
    """

    operator: LinearOperator
    cost: Cost
    time: float

    def __str__(self) -> str:
        messages, sent = (self.cost.messages, self.cost.sent) if isinstance(self.cost, ParallelCost) else (0, 0)
        return f"{self.operator}: {counted(messages, 'message')}, {counted(sent, 'byte')}"


@checked
def advise(source: DistributedSpace, target: DistributedSpace, by: Price = operations) -> list[Advice]:
    """Return the ways to move a tensor from S to T: directly, by each layout between, and the best order of steps.

    Collective. Found from the layouts; nothing is sent but what it takes to agree.

    Parameters
    ----------
    source, target : DistributedSpace
        S and T.
    by : callable, optional
        Makes of a cost what ways are ranked by: its time, by default.

    Returns
    -------
    list of Advice
        The cheapest first. All of them are the same map.

    Raises
    ------
    SpaceError
        When the two spaces lay out different tensors.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Replicated, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2, cols=2), (256, 256), rows=Split(0), cols=Split(1))
    ...     for way in advise(S, S.with_roles(rows=Replicated(), cols=Replicated()))[:3]:
    ...         yield str(way)
    >>> for line in simulate(4, lambda world: list(main(world)))[0]:
    ...     print(line)
    AllGather(rows, cols): 3 messages, 393216 bytes
    AllGather(rows) @ AllGather(cols): 2 messages, 393216 bytes
    AllGather(cols) @ AllGather(rows): 2 messages, 393216 bytes
    """
    Movement(source, target)  # raises where there is none
    S, T, itemsize = source.layout, target.layout, source.dtype.itemsize
    paths = {(): None, shortest_path(S, T, itemsize, by): None}
    paths |= {(layout,): None for layout in layouts_between(S, T, every=True)}
    ways = [_passing(source, target, path) for path in paths]
    return sorted((Advice(way, cost(way), by(cost(way))) for way in ways), key=lambda advice: advice.time)
