"""Who holds what: the geometry of a tensor on a grid of ranks.

A layout is the places of ranks on a grid, the shape of the tensor, and one role for each axis of the grid. It knows no
processes: what rank 3 of a million holds is found from its coordinates, without asking anyone.

Where several grid axes split one tensor axis, each divides the part that those before it give, in the order of the
grid's axes. Each part has a number: the place of its coordinates along these axes in row-major order.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import final

import numpy as np

from distdl_ops.grid import Places
from distdl_ops.layouts.intervals import Interval, Intervals, Listed
from distdl_ops.layouts.roles import Role, Split, ends_of
from distdl_ops.layouts.runs import Boundary, Run, composed, runs
from linop import SpaceError

__all__ = ["Layout", "Run", "runs"]


@final
class Layout:
    """How a tensor lies on a grid of ranks.

    Parameters
    ----------
    axes : Places, or mapping of str to int
        The ranks of the grid; or the lengths of its axes by name, for the first ranks. Others hold nothing.
    shape : tuple of int
        Shape of the tensor.
    roles : mapping of str to Role
        One for each axis. Intervals that are not given become balanced ones.

    Attributes
    ----------
    places : Places
        Which rank stands where.
    axes : dict
        Lengths of the grid's axes by name.
    shape : tuple of int
        As given.
    roles : dict
        Roles by grid axis, intervals filled in where the whole of a tensor axis is split.

    Raises
    ------
    SpaceError
        When roles are missing, or do not fit the grid and the shape.

    Examples
    --------
    >>> layout = Layout({"rows": 2, "cols": 3}, (5, 7), {"rows": Split(0), "cols": Split(0)})
    >>> layout.shape_at(0), layout.shape_at(5), layout.split_axes(0), layout.intervals_at(1)
    ((1, 7), (0, 7), ('rows', 'cols'), ((1, 2), (0, 7)))
    """

    def __init__(self, axes: Places | Mapping[str, int], shape: tuple[int, ...], roles: Mapping[str, Role]) -> None:
        self.places = axes if isinstance(axes, Places) else Places(axes)
        self.axes = self.places.axes
        self.shape = shape
        for name in roles:
            if name not in self.axes:
                raise self._error(f"the grid has no axis {name!r}")
        self._split: dict[int, tuple[str, ...]] = {}
        self._once: dict[str, bool] = {}
        self._divides: dict[int, bool] = {}
        self.roles: dict[str, Role] = {}
        for name in self.axes:
            self.roles[name] = self._fitted(name, roles.get(name))
        self._key = (self.places, shape, tuple(self.roles.items()))
        self._hash = hash(self._key)

    def _fitted(self, name: str, role: Role | None) -> Role:
        """Return the role along a grid axis, its intervals filled in."""
        parts = self.axes[name]
        if not isinstance(role, Role):
            raise self._error(f"every grid axis needs a role; expected one for {name!r}, found {role!r}")
        axis = role.axis
        if axis is None:
            fault = role.fault(parts, 0)
            if fault is not None:
                raise self._error(f"{name}={role!r}: {fault}")
            return role
        if not 0 <= axis < len(self.shape):
            raise self._error(f"{name}={role!r}: the tensor has axes 0 to {len(self.shape) - 1}")
        before = self.split_axes(axis)
        self._split[axis] = (*before, name)
        if not before:
            fault = role.fault(parts, self.shape[axis])
            if fault is not None:
                raise self._error(f"{name}={role!r}: {fault}")
            return role.filled(parts, self.shape[axis])
        return self._nested(name, role, axis, before)

    def _nested(self, name: str, role: Role, axis: int, before: tuple[str, ...]) -> Role:
        """Return a role that divides the parts that other grid axes give."""
        parts = self.axes[name]
        nested = role.nested(parts, self._count(before))
        if isinstance(nested, str):
            raise self._error(
                f"{name}={role!r}: tensor axis {axis} is split along {', '.join(before)} before; {nested}"
            )
        rows = list(self._divided(nested, axis, before, parts))
        for row, extent in rows:
            fault = row.fault(parts, extent)
            if fault is not None:
                raise self._error(f"{name}={role!r}: of a part of {extent} entries along {', '.join(before)}: {fault}")
        # One role for one layout, whichever way it was written down.
        return nested.plain() if all(row.is_default(parts, extent) for row, extent in rows) else nested

    def _divided(self, role: Role, axis: int, before: tuple[str, ...], parts: int) -> Iterator[tuple[Role, int]]:
        """Yield what divides the parts that grid axes give, and their extents; each different case once."""
        if role.rows(parts) == 1:
            return ((role, extent) for extent in self._extents(axis, before))
        return ((role.row(outer, parts), extent) for outer, extent in enumerate(self.sizes(axis, before).tolist()))

    def _error(self, fault: str) -> SpaceError:
        return SpaceError(f"a tensor of shape {self.shape} on {self.places!r}: {fault}")

    @property
    def ranks(self) -> int:
        """Number of ranks on the grid."""
        return len(self.places)

    @property
    def size(self) -> int:
        """Number of coordinates over all ranks; a replicated vector counts once."""
        total = math.prod(role.copies(self.axes[name]) for name, role in self.roles.items())
        for axis, extent in enumerate(self.shape):
            held = self._extents(axis, self.split_axes(axis))
            total *= sum(length * count for length, count in held.items()) if axis in self._split else extent
        return total

    @property
    def largest_part(self) -> int:
        """How many entries a rank holds, at most."""
        return math.prod(
            max(self._extents(axis, self._split[axis]), default=0) if axis in self._split else extent
            for axis, extent in enumerate(self.shape)
        )

    # -- tensor axes and the grid axes that split them ----------------------------------------------------------------

    def split_axes(self, axis: int) -> tuple[str, ...]:
        """Return the grid axes that split a tensor axis, in order."""
        return self._split.get(axis, ())

    def _count(self, names: Sequence[str]) -> int:
        """Return how many places there are along some grid axes."""
        return math.prod(self.axes[name] for name in names)

    def parts(self, axis: int) -> int:
        """Return into how many parts a tensor axis is split: 1 where it is whole."""
        return self._count(self.split_axes(axis))

    def _extents(self, axis: int, names: tuple[str, ...]) -> Mapping[int, int]:
        """Return how many parts along some grid axes have each extent."""
        extents: Mapping[int, int] = {self.shape[axis]: 1}
        for place, name in enumerate(names):
            role, parts = self.roles[name], self.axes[name]
            if role.rows(parts) > 1:
                return Counter(self.sizes(axis, names).tolist())
            if place == 0:
                extents = role.lengths(parts, self.shape[axis])
                continue
            divided: Counter[int] = Counter()
            for extent, count in extents.items():
                for length, times in role.lengths(parts, extent).items():
                    divided[length] += count * times
            extents = divided
        return extents

    def sizes(self, axis: int, names: tuple[str, ...] | None = None) -> np.ndarray:
        """Return how many entries of a tensor axis each part has: integers, one for each part.

        Parameters
        ----------
        axis : int
            Of the tensor.
        names : tuple of str, optional
            The first of the grid axes that split it; all by default.
        """
        sizes = np.array([self.shape[axis]], np.int64)
        for name in self.split_axes(axis) if names is None else names:
            role, parts = self.roles[name], self.axes[name]
            if role.rows(parts) > 1:
                divided = [role.row(outer, parts).sizes(parts, extent) for outer, extent in enumerate(sizes.tolist())]
                sizes = np.concatenate(divided)
            else:
                different, which = np.unique(sizes, return_inverse=True)
                sizes = np.stack([role.sizes(parts, extent) for extent in different.tolist()])[which].reshape(-1)
        return sizes

    def ends(self, axis: int) -> np.ndarray:
        """Return where the runs of each part of a tensor axis begin and end: integers of shape (2, parts, runs)."""
        names = self.split_axes(axis)
        if len(names) < 2:
            parts, extent = self.parts(axis), self.shape[axis]
            return self.roles[names[0]].ends(parts, extent) if names else np.array([[[0]], [[extent]]], np.int64)
        lengths = [range(self.axes[name]) for name in names]
        coordinates = (dict(zip(names, each, strict=True)) for each in itertools.product(*lengths))
        return ends_of([self._part(axis, each)[0] for each in coordinates])

    def intervals(self, axis: int) -> Intervals | None:
        """Return the interval of each part of a tensor axis; None where some hold several.

        Examples
        --------
        >>> Layout({"p": 2, "q": 2}, (7,), {"p": Split(0), "q": Split(0)}).intervals(0)
        [(0, 2), (2, 4), (4, 6), (6, 7)]
        """
        names, extent = self.split_axes(axis), self.shape[axis]
        if not names:
            return Listed([(0, extent)])
        intervals = self.roles[names[0]].intervals_over(self.axes[names[0]], extent)
        for name in names[1:]:
            if intervals is None:
                return None
            role, parts = self.roles[name], self.axes[name]
            divided: list[Interval] = []
            for outer, (start, stop) in enumerate(intervals):
                inner = role.row(outer, parts).intervals_over(parts, stop - start)
                if inner is None or inner.hull[0] < 0 or inner.hull[1] > stop - start:
                    return None
                divided += [(start + first, start + last) for first, last in inner]
            intervals = Listed(divided)
        return intervals

    def roles_for(self, axis: int, intervals: Sequence[Interval], boundary: Boundary = "zero") -> dict[str, Role]:
        """Return the roles of the grid axes that split a tensor axis with which its parts are these intervals.

        Parameters
        ----------
        axis : int
            Of the tensor; it is split.
        intervals : sequence of (start, stop)
            One for each part.
        boundary : {"zero", "periodic"}, optional
            What lies beyond the tensor.

        Examples
        --------
        >>> layout = Layout({"p": 2, "q": 2}, (7,), {"p": Split(0), "q": Split(0)})
        >>> layout.roles_for(0, [(0, 3), (1, 5), (3, 7), (5, 7)])
        {'p': Split(0, [(0, 5), (3, 7)]), 'q': Split(0, [(0, 3), (1, 5), (0, 4), (2, 4)])}
        """
        first, *others = self.split_axes(axis)
        roles: dict[str, Role] = {}
        for name in reversed(others):
            parts = self.axes[name]
            rows = [intervals[k : k + parts] for k in range(0, len(intervals), parts)]
            hulls = [_hull(row) for row in rows]
            inner = [
                (start - low, stop - low) for row, (low, _) in zip(rows, hulls, strict=True) for start, stop in row
            ]
            roles[name] = Split(axis, inner, gaps=True)
            intervals = hulls
        return {first: Split(axis, intervals, boundary, gaps=True), **dict(reversed(roles.items()))}

    def rolled(self, name: str, steps: int) -> dict[str, Role] | None:
        """Return the roles with which the rank ``steps`` on along a grid axis, around, holds what a rank holds here.

        None where there are none, because the axis is replicated or the parts cannot be written down.
        """
        role = self.roles[name]
        names = () if role.axis is None else self.split_axes(role.axis)
        alone = len(names) < 2 or all(self.roles[other].rows(self.axes[other]) == 1 for other in names)
        turned = role.rolled(steps, self.axes[name]) if alone else None
        if turned is not None:
            return {**self.roles, name: turned}
        intervals = None if role.axis is None else self.intervals(role.axis)
        if role.axis is None or intervals is None:
            return None
        places = np.arange(len(intervals)).reshape([self.axes[other] for other in names])
        moved = np.roll(places, steps, axis=names.index(name)).ravel().tolist()
        boundary = self.roles[names[0]].boundary
        return {**self.roles, **self.roles_for(role.axis, [intervals[k] for k in moved], boundary)}

    # -- what a rank holds --------------------------------------------------------------------------------------------

    def coordinates_of(self, rank: int) -> dict[str, int] | None:
        """Return where a rank stands, by grid axis; None when it is not on the grid."""
        return self.places.coordinates_of(rank)

    def _holding(self, rank: int) -> dict[str, int] | None:
        """Return where a rank stands; None when it holds nothing."""
        coordinates = self.places.coordinates_of(rank)
        if coordinates is None:
            return None
        for name, role in self.roles.items():
            if role.axis is None and coordinates[name] not in role.holders(self.axes[name]):
                return None
        return coordinates

    def _part(self, axis: int, coordinates: Mapping[str, int]) -> tuple[list[Run], int]:
        """Return the runs of entries of a tensor axis at some coordinates, and how many places their array has."""
        extent = self.shape[axis]
        pieces: list[Run] | None = None
        outer = 0
        for name in self.split_axes(axis):
            parts, k = self.axes[name], coordinates[name]
            role = self.roles[name].row(outer, parts)
            inner = role.runs(k, parts, extent)
            pieces = inner if pieces is None else composed(inner, pieces)
            extent, outer = role.length(k, parts, extent), outer * parts + k
        return (runs((0, extent), extent, "zero") if pieces is None else pieces), extent

    def intervals_at(self, rank: int) -> tuple[Interval, ...] | None:
        """Return the interval of every tensor axis that a rank holds; None when it holds nothing.

        Raises
        ------
        SpaceError
            When some rank holds several intervals of an axis; see `pieces_at`.
        """
        coordinates = self._holding(rank)
        if coordinates is None:
            return None
        intervals = []
        for axis in range(len(self.shape)):
            interval = self._interval(axis, coordinates)
            if interval is None:
                raise SpaceError(f"{self}: a rank holds several intervals of tensor axis {axis}, expected one")
            intervals.append(interval)
        return tuple(intervals)

    def _interval(self, axis: int, coordinates: Mapping[str, int]) -> Interval | None:
        """Return the interval of a tensor axis at some coordinates; None where there are several."""
        start, stop, outer = 0, self.shape[axis], 0
        for place, name in enumerate(self.split_axes(axis)):
            parts, k = self.axes[name], coordinates[name]
            intervals = self.roles[name].row(outer, parts).intervals_over(parts, stop - start)
            if intervals is None or (place > 0 and (intervals.hull[0] < 0 or intervals.hull[1] > stop - start)):
                return None
            first, last = intervals[k]
            start, stop, outer = start + first, start + last, outer * parts + k
        return start, stop

    def shape_at(self, rank: int) -> tuple[int, ...]:
        """Return the shape of what a rank holds."""
        coordinates = self._holding(rank)
        if coordinates is None:
            return (0,) * len(self.shape)
        shape = list(self.shape)
        for axis, names in self._split.items():
            outer = 0
            for name in names:
                parts, k = self.axes[name], coordinates[name]
                shape[axis] = self.roles[name].row(outer, parts).length(k, parts, shape[axis])
                outer = outer * parts + k
        return tuple(shape)

    def pieces_at(self, rank: int) -> list[list[Run]] | None:
        """Return, for every tensor axis, the runs of entries in what a rank holds; None when it holds nothing."""
        coordinates = self._holding(rank)
        if coordinates is None:
            return None
        return [self._part(axis, coordinates)[0] for axis in range(len(self.shape))]

    def places_at(self, rank: int) -> list[list[Run]] | None:
        """Return what `pieces_at` does, in one run where a rank holds an interval, with what lies beyond the ends."""
        coordinates = self._holding(rank)
        if coordinates is None:
            return None
        places = []
        for axis in range(len(self.shape)):
            interval = self._interval(axis, coordinates)
            if interval is None:
                places.append(self._part(axis, coordinates)[0])
            else:
                places.append([Run(0, interval[0], interval[1] - interval[0])] if interval[0] < interval[1] else [])
        return places

    def holds_everywhere(self, ranks: int) -> bool:
        """Say whether each of so many ranks holds something, if only an array of size zero that a `Split` leaves it."""
        passed_over = any(len(role.holders(self.axes[name])) < self.axes[name] for name, role in self.roles.items())
        return ranks <= self.ranks and not passed_over

    def counted_rank(self, rank: int) -> int:
        """Return the rank whose copy of a replicated vector counts: `rank` itself without replication."""
        replicated = {name: 0 for name, role in self.roles.items() if role.replicated}
        coordinates = self.places.coordinates_of(rank) if replicated else None
        return rank if coordinates is None else self.places.rank_at({**coordinates, **replicated})

    def counted_ranks(self) -> list[int]:
        """Return the ranks whose arrays are a vector's coordinates, in order."""
        return [rank for rank in sorted(self.places.members) if self.counted_rank(rank) == rank]

    # -- what kind of layout it is ------------------------------------------------------------------------------------

    def holds_once_along(self, name: str) -> bool:
        """Whether, along a grid axis, every held entry stands for one tensor entry of its own: ``E E* = I``.

        So it is without copies, when no interval overlaps another or leaves the tensor.
        """
        once = self._once.get(name)
        if once is None:
            role, parts = self.roles[name], self.axes[name]
            if role.axis is None:
                once = role.holds_once(parts, 0)
            else:
                names = self.split_axes(role.axis)
                before = names[: names.index(name)]
                once = all(r.holds_once(parts, n) for r, n in self._divided(role, role.axis, before, parts))
            self._once[name] = once
        return once

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
            and not any(role.replicated for role in self.roles.values())
        )

    def divides(self, axis: int) -> bool:
        """Say whether every entry of a tensor axis lies in one part, and nothing else does."""
        divides = self._divides.get(axis)
        if divides is None:
            names = self.split_axes(axis)
            divides = all(map(self.holds_once_along, names)) and (
                sum(length * count for length, count in self._extents(axis, names).items()) == self.shape[axis]
            )
            self._divides[axis] = divides
        return divides

    def same_grid(self, other: Layout) -> bool:
        """Whether the two grids have the same axes, in the same order: ranks then have the same coordinates."""
        return self.places == other.places

    def moving_axes(self, target: Layout) -> list[str]:
        """Return the grid axes along which a movement to another layout on the same grid moves anything."""
        return [a for a in self.roles if self._chain(a) != target._chain(a) or not self.holds_once_along(a)]

    def _chain(self, name: str) -> Sequence[object]:
        """Return what decides what is held along a grid axis: its role, and those that split the tensor axis before."""
        role = self.roles[name]
        names = self._split[role.axis] if role.axis is not None else (name,)
        if names[0] == name:
            return (role,)
        return [(other, self.roles[other]) for other in names[: names.index(name) + 1]]

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Layout) and self._hash == other._hash and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return " ".join([str(self.shape), *(f"{name}={self.show(name)}" for name in self.roles)])

    def show(self, name: str) -> str:
        """Return the role along a grid axis as it is written; balanced intervals go without saying."""
        role, extent = self.roles[name], self._extent_of(name)
        return repr(role) if extent is None else role.show(self.axes[name], extent)

    def describe(self, name: str) -> str:
        """Return the role along a grid axis in words; of a halo, its widths."""
        role, extent = self.roles[name], self._extent_of(name)
        return repr(role) if extent is None else role.describe(self.axes[name], extent)

    def _extent_of(self, name: str) -> int | None:
        """Return how many entries a role divides; None where it splits nothing, or the parts of others."""
        axis = self.roles[name].axis
        return self.shape[axis] if axis is not None and self._split[axis][0] == name else None


def _hull(intervals: Sequence[Interval]) -> Interval:
    """Return the interval from the lowest entry to the highest; an empty one without entries."""
    hull = Listed(intervals).hull
    return hull if hull[0] < hull[1] else intervals[0]
