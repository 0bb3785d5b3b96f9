"""Ranks laid out on a grid with named axes."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, final

import numpy as np

from distdl_ops.worlds import World
from distdl_ops.worlds.agreement import agreed
from linop.arguments import show
from linop.errors import ArgumentError, ArgumentTypeError


@final
class Places:
    """Which rank stands where on a grid with named axes. It knows no processes.

    Parameters
    ----------
    axes : mapping of str to int
        Lengths of the axes.
    members : sequence of int, optional
        The ranks, in row-major order of their places; by default the first ones.

    Attributes
    ----------
    axes, members
        As given; the members are a range where they are consecutive, so that a million of them take no memory.
    span : int
        One more than the highest rank.

    Examples
    --------
    >>> places = Places({"rows": 2, "cols": 2}, [7, 6, 5, 4])
    >>> places.coordinates_of(5), places.rank_at({"rows": 1, "cols": 0}), places.coordinates_of(0)
    ({'rows': 1, 'cols': 0}, 5, None)
    """

    def __init__(self, axes: Mapping[str, int], members: Sequence[int] | None = None) -> None:
        self.axes = dict(axes)
        count = math.prod(self.axes.values())
        self.members: range | tuple[int, ...]
        if members is None:
            self.members = range(count)
        elif len(members) > 0 and all(b - a == 1 for a, b in itertools.pairwise(members)):
            self.members = range(members[0], members[0] + len(members))
        else:
            self.members = tuple(members)
        if isinstance(self.members, tuple):
            self._places: Mapping[int, int] | None = {rank: place for place, rank in enumerate(self.members)}
            self.span = max(self.members, default=-1) + 1
        else:
            self._places = None
            self.span = self.members.stop

    def __len__(self) -> int:
        return len(self.members)

    def place_of(self, rank: int) -> int | None:
        """Return the place of a rank in row-major order; None when it is not on the grid."""
        if self._places is not None:
            return self._places.get(rank)
        place = rank - self.members[0] if self.members else -1
        return place if 0 <= place < len(self.members) else None

    def coordinates_of(self, rank: int) -> dict[str, int] | None:
        """Return where a rank stands, by axis; None when it is not on the grid."""
        place = self.place_of(rank)
        return None if place is None else coordinates_of(self.axes, place)

    def rank_at(self, coordinates: Mapping[str, int]) -> int:
        """Return the rank that stands at these coordinates, one for each axis."""
        return self.members[place_at(self.axes, coordinates)]

    def covers(self, other: Places) -> bool:
        """Say whether all ranks of another grid are on this one."""
        if isinstance(self.members, range) and isinstance(other.members, range):
            return self.members.start <= other.members.start and other.members.stop <= self.members.stop
        return all(self.place_of(rank) is not None for rank in other.members)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Places)
            and list(self.axes.items()) == list(other.axes.items())
            and self.members == other.members
        )

    def __hash__(self) -> int:
        return hash((tuple(self.axes.items()), self.members))

    def __repr__(self) -> str:
        axes = [f"{name}={length}" for name, length in self.axes.items()]
        if self.members != range(len(self.members)):
            axes.insert(0, f"ranks={list(self.members) if len(self) <= WRITTEN_OUT else self.members}")
        return f"Grid({', '.join(axes)})"


WRITTEN_OUT = 16
"""Up to how many ranks `repr` writes out."""


@final
class Grid:
    """Ranks of a world, in row-major order on named axes. Collective.

    Parameters
    ----------
    world : World
        Whose ranks they are. The others stay outside: they hold nothing.
    ranks : sequence of int, optional
        Which ranks, in any order: the first stands at coordinates 0, the second one further along the last axis. By
        default the first ranks of the world. May be given by name, too: ``Grid(world, ranks=[2, 3], rows=2)``.
    **axes : int
        Length of each axis, one or more. Their product is the number of ranks. Any names will do: ``ranks=4`` is an
        axis of length 4, since a number is no sequence of ranks.

    Attributes
    ----------
    world : World
        As given.
    axes : dict
        Lengths by name.
    places : Places
        Which rank stands where.
    size : int
        Number of ranks on the grid.
    coordinates : dict or None
        Where this rank stands, by name; None outside.

    Raises
    ------
    ValueError
        When the lengths do not fit the world.
    AgreementError
        When the ranks do not pass the same axes.

    Examples
    --------
    >>> from distdl_ops import simulate
    >>> simulate(4, lambda world: Grid(world, rows=2, cols=2).coordinates)[2]
    {'rows': 1, 'cols': 0}
    >>> simulate(4, lambda world: Grid(world, ranks=[3, 1], rows=2).coordinates)
    [None, {'rows': 1}, None, {'rows': 0}]
    """

    def __init__(self, world: World, ranks: Sequence[int] | None = None, /, **axes: Any) -> None:
        if not isinstance(world, World):
            raise ArgumentTypeError(f"Grid: expected world to be a World, found {show(world)}")
        if ranks is None and isinstance(axes.get("ranks"), Sequence | np.ndarray):
            ranks = axes.pop("ranks")
        self.world = world
        self.places = agreed(world, "Grid", lambda: _checked(axes, ranks, world.size))
        self.axes = self.places.axes
        self.size = len(self.places)
        self.coordinates = self.coordinates_of(world.rank)

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise the error of an argument on all ranks; see `linop.arguments.refuse`."""
        self.world.fail(error)

    def coordinates_of(self, rank: int) -> dict[str, int] | None:
        """Return where a rank stands, by axis; None when it is not on the grid."""
        return self.places.coordinates_of(rank)

    def rank_at(self, coordinates: Mapping[str, int]) -> int:
        """Return the rank that stands at these coordinates, one for each axis."""
        return self.places.rank_at(coordinates)

    def line(self, axes: tuple[str, ...]) -> World | None:
        """Return the world of the ranks that differ from this one in some axes only; None outside the grid.

        Parameters
        ----------
        axes : tuple of str
            The axes along which its ranks are numbered, in row-major order.
        """
        if self.coordinates is None:
            return None
        fixed = {name: k for name, k in self.coordinates.items() if name not in axes}
        steps = np.ndindex(*(self.axes[name] for name in axes))
        return self.world.sub([self.rank_at({**fixed, **dict(zip(axes, step, strict=True))}) for step in steps])

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Grid) and self.world is other.world and self.places == other.places)

    def __hash__(self) -> int:
        return hash((id(self.world), self.places))

    def __repr__(self) -> str:
        return repr(self.places)


def coordinates_of(axes: Mapping[str, int], place: int) -> dict[str, int] | None:
    """Return the coordinates of a place on a grid of these axes, in row-major order; None when it is not on it."""
    coordinates = []
    for length in reversed(list(axes.values())):
        place, coordinate = divmod(place, length)
        coordinates.append(coordinate)
    return dict(zip(axes, reversed(coordinates), strict=True)) if place == 0 else None


def place_at(axes: Mapping[str, int], coordinates: Mapping[str, int]) -> int:
    """Return the place at these coordinates, one for each axis: the inverse of `coordinates_of`."""
    place = 0
    for name, length in axes.items():
        place = place * length + coordinates[name]
    return place


def _checked(axes: dict[str, Any], ranks: Sequence[int] | None, size: int) -> Places:
    """Return the places; raise where they make no grid in a world of this size."""
    given = [
        *([] if ranks is None else [f"ranks={list(ranks)}"]),
        *(f"{name}={length}" for name, length in axes.items()),
    ]
    grid = f"Grid({', '.join(given)})"
    for name, length in axes.items():
        if not isinstance(length, int | np.integer) or isinstance(length, bool) or length < 1:
            raise ArgumentError(f"{grid}: expected a whole number of one or more for {name}, found {length!r}")
    needed = math.prod(axes.values())
    lengths = {name: int(length) for name, length in axes.items()}
    if ranks is None:
        if needed > size:
            raise ArgumentError(f"{grid} needs {needed} ranks, the world has {size}")
        return Places(lengths)
    try:
        members = [operator.index(rank) for rank in ranks]
    except TypeError:
        raise ArgumentError(f"{grid}: expected ranks of the world, whole numbers from 0 to {size - 1}") from None
    if not all(0 <= rank < size for rank in members):
        raise ArgumentError(f"{grid}: expected ranks of the world, whole numbers from 0 to {size - 1}")
    if len(set(members)) < len(members):
        raise ArgumentError(f"{grid}: expected each rank once")
    if len(members) != needed:
        raise ArgumentError(f"{grid}: expected {needed} ranks, one for each place; found {len(members)}")
    return Places(lengths, members)
