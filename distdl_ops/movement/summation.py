r"""How a flat vector is summed over the ranks of a line: which exchanges, by its bytes, the ranks, and their hosts.

===========  ===============================================================
map          :math:`M(C, R) = E_R E_C^*`, from copies to replicas: an all-reduce
in steps     :math:`M(X, R)\, M(C, X)`, where X splits the vector, and loses nothing
two levels   :math:`M(X, R)\, B\, M(C, X)` on the ranks of a host, where B is the map between those ranks of all
             hosts that hold the same part of X
===========  ===============================================================

What is large is summed within each host first, each rank a part of it; then ranks of different hosts exchange these
parts; then the ranks of a host tell each other. So it crosses the link once in each direction, however many ranks a
host has.

This is the one place where the exchanges of a sum are chosen.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import final

from distdl_ops.grid import Places
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.roles import Copies, Replicated, Role, Split
from distdl_ops.transfer.plan import Plan
from distdl_ops.transfer.transfer import Transfer
from distdl_ops.worlds import World
from linop.arrays import Array

SMALL = 8192
"""Bytes up to which everyone sends everything to everyone: a step more takes longer than these bytes."""

FEW = 4
"""Up to how many ranks of one host do so whatever the size: their messages are copies in memory."""

Hosts = tuple[int, ...]
"""The host of each rank of a line, by number."""

Step = tuple[Layout, Layout]
"""An exchange: from which layout to which, on some of the ranks."""


@functools.lru_cache(maxsize=4096)
def steps_of_sum(entries: int, itemsize: int, hosts: Hosts, rank: int) -> tuple[Step, ...]:
    """Return the exchanges by which the sum of a flat vector comes to every rank, as one of the ranks takes part.

    Parameters
    ----------
    entries : int
        Of the vector.
    itemsize : int
        Bytes of an entry. Sums of half precision are rounded once, so these are made in one step.
    hosts : tuple of int
        The host of each rank.
    rank : int
        Which rank.

    Examples
    --------
    >>> for source, target in steps_of_sum(1 << 20, 4, (0, 0, 1, 1), 3):
    ...     print(source, "->", target, "on", source.places)
    (1048576,) ranks=Copies() -> (1048576,) ranks=Split(0) on Grid(ranks=[2, 3], ranks=2)
    (524288,) ranks=Copies() -> (524288,) ranks=Replicated() on Grid(ranks=[1, 3], ranks=2)
    (1048576,) ranks=Split(0) -> (1048576,) ranks=Replicated() on Grid(ranks=[2, 3], ranks=2)
    """
    everyone = range(len(hosts))
    copies, part, sums = Copies(), Split(0), Replicated()
    each = set(Counter(hosts).values())
    if entries * itemsize <= SMALL or len(hosts) <= 2 or (len(set(hosts)) == 1 and len(hosts) <= FEW):
        return _on(everyone, entries, copies, sums)
    if len(each) > 1 or len(set(hosts)) in (1, len(hosts)) or itemsize <= 2:
        return _on(everyone, entries, copies, part, sums)
    mine = [other for other in everyone if hosts[other] == hosts[rank]]
    place = mine.index(rank)
    alike = [[other for other in everyone if hosts[other] == host][place] for host in dict.fromkeys(hosts)]
    down, up = _on(mine, entries, copies, part, sums)
    held = down[1].shape_at(rank)[0]
    return down, *(_on(alike, held, copies, sums) if len(alike) == 2 else _on(alike, held, copies, part, sums)), up


def _on(ranks: Sequence[int], entries: int, *stations: Role) -> tuple[Step, ...]:
    """Return the steps through some roles of a flat vector on some ranks."""
    places = Places({"ranks": len(ranks)}, ranks)
    return tuple(itertools.pairwise(Layout(places, (entries,), {"ranks": role}) for role in stations))


@final
class Summation:
    """The sum of a flat vector over the ranks of a world, on this rank.

    Parameters
    ----------
    entries, itemsize : int
        See `steps_of_sum`.
    world : World
        The ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import simulate
    >>> def main(world):
    ...     under_way = Summation(3, 8, world).start(np.full(3, 1.0 + world.rank), "a sum")
    ...     return under_way.finish().tolist()
    >>> simulate(3, main)[1]
    [6.0, 6.0, 6.0]
    """

    def __init__(self, entries: int, itemsize: int, world: World) -> None:
        self.world = world
        steps = steps_of_sum(entries, itemsize, world.hosts, world.rank)
        self.plans = [Plan(source, target, world.rank) for source, target in steps]

    def start(self, x: Array, what: str) -> UnderWay:
        """Begin to sum a vector, which must not change until the sum has finished.

        Parameters
        ----------
        x : array, shape (entries,)
            This rank's term.
        what : str
            Which operation it is; see `World`.
        """
        return UnderWay(self, x, what)

    def run(self, x: Array, what: str) -> Array:
        """Return the sum."""
        return self.start(x, what).finish()


@final
class UnderWay:
    """A sum that has started. Made by `Summation.start`.

    Its exchanges follow each other: the next one starts when somebody calls `advance`, on all ranks in the same order
    among their operations.
    """

    def __init__(self, summation: Summation, x: Array, what: str) -> None:
        self._world, self._what, self._call = summation.world, what, summation.world.caller.call
        self._rest = list(summation.plans)
        self._transfer = self._start(x)

    def _start(self, x: Array) -> Transfer:
        """Start the next exchange."""
        caller = self._world.caller
        before, caller.call = caller.call, self._call
        try:
            return self._rest.pop(0).start(x, self._world, f"{self._what}, {len(self._rest)} steps before the last")
        finally:
            caller.call = before

    def advance(self) -> None:
        """Wait for the exchange that is under way, and start the next one; where it is the last one, do nothing."""
        if self._rest:
            self._transfer = self._start(self._transfer.finish())

    def finish(self) -> Array:
        """Wait for the sum, and return it. Once only."""
        while self._rest:
            self.advance()
        return self._transfer.finish()
