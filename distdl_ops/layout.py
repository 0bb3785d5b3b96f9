"""Who holds what: the geometry of a tensor on a grid of ranks.

A layout is the lengths of the grid's axes, the shape of the tensor, and one role for each axis. It knows no processes:
what rank 3 of a million holds is found from its coordinates, without asking anyone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, final

from distdl_ops.grid import coordinates_of, rank_at
from distdl_ops.intervals import Interval, balanced
from distdl_ops.roles import At, Boundary, Copies, Replicated, Role, Split
from linop import SpaceError


class Run(NamedTuple):
    """A run of tensor entries on one axis: where it begins in a rank's array and in the tensor, and how long it is."""

    local: int
    start: int
    length: int


@final
class Layout:
    """How a tensor lies on a grid of ranks.

    Parameters
    ----------
    axes : mapping of str to int
        Lengths of the grid's axes by name. Ranks beyond the grid hold nothing.
    shape : tuple of int
        Shape of the tensor.
    roles : mapping of str to Role
        One for each axis. Intervals that are not given become balanced ones.

    Raises
    ------
    SpaceError
        When roles are missing, or do not fit the grid and the shape.

    Examples
    --------
    >>> layout = Layout({"rows": 2, "cols": 3}, (5, 7), {"rows": Split(0), "cols": At(2)})
    >>> layout.shape_at(5), layout.shape_at(4)
    ((2, 7), (0, 0))
    """

    def __init__(self, axes: Mapping[str, int], shape: tuple[int, ...], roles: Mapping[str, Role]) -> None:
        self.axes = dict(axes)
        self.shape = shape
        for name in roles:
            if name not in self.axes:
                raise self._error(f"the grid has no axis {name!r}")
        self.roles = {name: self._bind(name, roles) for name in self.axes}
        self._key = (tuple(self.axes.items()), shape, tuple(self.roles.items()))
        self._hash = hash(self._key)

    def _bind(self, name: str, roles: Mapping[str, Role]) -> Role:
        """Return the role along a grid axis, its intervals filled in."""
        role, length = roles.get(name), self.axes[name]
        if not isinstance(role, Role):
            raise self._error(f"every grid axis needs a role; expected one for {name!r}, found {role!r}")
        if isinstance(role, At) and not 0 <= role.index < length:
            raise self._error(f"{name}={role!r}: expected an index below {length}")
        if not isinstance(role, Split):
            return role
        if not 0 <= role.axis < len(self.shape):
            raise self._error(f"{name}={role!r}: the tensor has axes 0 to {len(self.shape) - 1}")
        others = [other for other, r in roles.items() if other != name and isinstance(r, Split) and r.axis == role.axis]
        if others:
            raise self._error(f"tensor axis {role.axis} is split along {name!r} and along {others[0]!r}")
        extent = self.shape[role.axis]
        intervals = role.intervals or balanced(extent, length)
        if len(intervals) != length:
            raise self._error(f"{name}={role!r}: expected {length} intervals, found {len(intervals)}")
        if extent == 0 and role.boundary == "periodic" and intervals.total > 0:
            raise self._error(f"{name}={role!r}: an empty tensor axis cannot be periodic")
        return role if role.intervals else Split(role.axis, intervals, role.boundary)

    def _error(self, fault: str) -> SpaceError:
        grid = ", ".join(f"{name}={length}" for name, length in self.axes.items())
        return SpaceError(f"a tensor of shape {self.shape} on Grid({grid}): {fault}")

    @property
    def ranks(self) -> int:
        """Number of ranks on the grid."""
        return math.prod(self.axes.values())

    @property
    def size(self) -> int:
        """Number of coordinates over all ranks; a replicated vector counts once."""
        extents, copies = list(self.shape), 1
        for name, role in self.roles.items():
            if isinstance(role, Split):
                extents[role.axis] = role.intervals.total
            elif isinstance(role, Copies):
                copies *= self.axes[name]
        return copies * math.prod(extents)

    # -- what a rank holds --------------------------------------------------------------------------------------------

    def intervals_at(self, rank: int) -> tuple[Interval, ...] | None:
        """Return the interval of every tensor axis that a rank holds; None when it holds nothing."""
        coordinates = coordinates_of(self.axes, rank)
        if coordinates is None:
            return None
        intervals = [(0, extent) for extent in self.shape]
        for name, role in self.roles.items():
            if isinstance(role, At) and role.index != coordinates[name]:
                return None
            if isinstance(role, Split):
                intervals[role.axis] = role.intervals[coordinates[name]]
        return tuple(intervals)

    def shape_at(self, rank: int) -> tuple[int, ...]:
        """Return the shape of what a rank holds."""
        intervals = self.intervals_at(rank)
        if intervals is None:
            return (0,) * len(self.shape)
        return tuple(stop - start for start, stop in intervals)

    def pieces_at(self, rank: int) -> list[list[Run]] | None:
        """Return, for every tensor axis, the runs of entries in what a rank holds; None when it holds nothing."""
        intervals = self.intervals_at(rank)
        if intervals is None:
            return None
        boundaries: dict[int, Boundary] = {r.axis: r.boundary for r in self.roles.values() if isinstance(r, Split)}
        return [
            runs(interval, extent, boundaries.get(axis, "zero"))
            for axis, (interval, extent) in enumerate(zip(intervals, self.shape, strict=True))
        ]

    def meeting(self, name: str, pieces: list[Run]) -> list[int]:
        """Return the coordinates, in order, along a grid axis that is split, whose intervals meet runs of entries.

        Parameters
        ----------
        name : str
            Of a grid axis whose role is a `Split`.
        pieces : list of Run
            Runs on the tensor axis that is split, as `pieces_at` returns them.
        """
        role = self.roles[name]
        assert isinstance(role, Split)
        extent, (lowest, highest) = self.shape[role.axis], role.intervals.hull
        found: set[int] = set()
        for _, start, length in pieces:
            # A periodic interval beyond the tensor sees the run again, whole turns away.
            first, last = (lowest - start - length) // extent + 1, -((start - highest) // extent)
            for turn in range(first, last) if role.boundary == "periodic" else [0]:
                found.update(role.intervals.meeting(start + turn * extent, start + length + turn * extent))
        return sorted(found)

    def holds_everywhere(self, ranks: int) -> bool:
        """Say whether each of so many ranks holds something, if only an array of size zero that a `Split` leaves it."""
        passed_over = any(isinstance(role, At) and self.axes[name] > 1 for name, role in self.roles.items())
        return ranks <= self.ranks and not passed_over

    def counted_rank(self, rank: int) -> int:
        """Return the rank whose copy of a replicated vector counts: `rank` itself without replication."""
        coordinates = coordinates_of(self.axes, rank)
        if coordinates is None:
            return rank
        replicated = {name: 0 for name, role in self.roles.items() if isinstance(role, Replicated)}
        return rank_at(self.axes, {**coordinates, **replicated})

    def counted_ranks(self) -> list[int]:
        """Return the ranks whose arrays are a vector's coordinates, in order."""
        return [rank for rank in range(self.ranks) if self.counted_rank(rank) == rank]

    # -- what kind of layout it is ------------------------------------------------------------------------------------

    def holds_once_along(self, name: str) -> bool:
        """Whether, along a grid axis, every held entry stands for one tensor entry of its own: ``E E* = I``.

        So it is without copies, when no interval overlaps another or leaves the tensor.
        """
        role = self.roles[name]
        if not isinstance(role, Split):
            return not isinstance(role, Copies)
        lowest, highest = role.intervals.hull
        return role.intervals.apart and lowest >= 0 and highest <= self.shape[role.axis]

    @property
    def holds_once(self) -> bool:
        """Whether every held entry stands for one tensor entry of its own: ``E E* = I``."""
        return all(self.holds_once_along(name) for name in self.roles)

    @property
    def is_partition(self) -> bool:
        """Whether every tensor entry lies on one rank, and nothing else does: ``E E* = I`` and ``E* E = I``."""
        return (
            self.holds_once
            and self.size == math.prod(self.shape)
            and not any(isinstance(role, Replicated) for role in self.roles.values())
        )

    def same_grid(self, other: Layout) -> bool:
        """Whether the two grids have the same axes, in the same order: ranks then have the same coordinates."""
        return list(self.axes.items()) == list(other.axes.items())

    def moving_axes(self, target: Layout) -> list[str]:
        """Return the grid axes along which a movement to another layout on the same grid moves anything."""
        return [a for a, role in self.roles.items() if role != target.roles[a] or not self.holds_once_along(a)]

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Layout) and self._hash == other._hash and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return " ".join([str(self.shape), *(f"{name}={self.show(name)}" for name in self.roles)])

    def show(self, name: str) -> str:
        """Return the role along a grid axis in words; balanced intervals go without saying."""
        role = self.roles[name]
        if isinstance(role, Split) and role.intervals == balanced(self.shape[role.axis], len(role.intervals)):
            return repr(Split(role.axis, boundary=role.boundary))
        return repr(role)


def runs(interval: Interval, extent: int, boundary: Boundary) -> list[Run]:
    """Return the tensor entries in an interval as runs: what lies inside, or, when periodic, every time around.

    Examples
    --------
    >>> runs((-1, 3), 5, "zero")
    [Run(local=1, start=0, length=3)]
    >>> runs((-1, 3), 5, "periodic")
    [Run(local=0, start=4, length=1), Run(local=1, start=0, length=3)]
    """
    start, stop = interval
    if boundary == "zero":
        first, last = max(start, 0), min(stop, extent)
        return [Run(first - start, first, last - first)] if last > first else []
    pieces = []
    position = start
    while position < stop:
        inside = position % extent
        length = min(extent - inside, stop - position)
        pieces.append(Run(position - start, inside, length))
        position += length
    return pieces
