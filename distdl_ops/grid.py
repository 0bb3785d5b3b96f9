"""Ranks laid out on a grid with named axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NoReturn, final

import numpy as np

from distdl_ops.worlds import World
from distdl_ops.worlds.agreement import agreed
from linop.arguments import show
from linop.errors import ArgumentError, ArgumentTypeError

RESERVED = {"self", "grid", "shape", "dtype"}
"""Names that a grid axis cannot have: `DistributedSpace` takes roles by the names of the axes, beside these."""


@final
class Grid:
    """The first ranks of a world, in row-major order on named axes. Collective.

    Parameters
    ----------
    world : World
        Whose ranks they are. Ranks beyond the grid stay outside: they hold nothing.
    **axes : int
        Length of each axis, one or more. Their product is at most ``world.size``.

    Attributes
    ----------
    world : World
        As given.
    axes : dict
        Lengths by name.
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
    """

    def __init__(self, world: World, **axes: int) -> None:
        if not isinstance(world, World):
            raise ArgumentTypeError(f"Grid: expected world to be a World, found {show(world)}")
        self.world = world
        self.axes = agreed(world, "Grid", lambda: _checked(axes, world.size))
        self.size = math.prod(self.axes.values())
        self.coordinates = self.coordinates_of(world.rank)

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise the error of an argument on all ranks; see `linop.arguments.refuse`."""
        self.world.fail(error)

    def coordinates_of(self, rank: int) -> dict[str, int] | None:
        """Return where a rank stands, by axis; None when it is not on the grid."""
        return coordinates_of(self.axes, rank)

    def rank_at(self, coordinates: dict[str, int]) -> int:
        """Return the rank that stands at these coordinates, one for each axis."""
        return rank_at(self.axes, coordinates)

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
        return self is other or (
            isinstance(other, Grid)
            and self.world is other.world
            and list(self.axes.items()) == list(other.axes.items())
        )

    def __hash__(self) -> int:
        return hash((id(self.world), tuple(self.axes.items())))

    def __repr__(self) -> str:
        return f"Grid({', '.join(f'{name}={length}' for name, length in self.axes.items())})"


def coordinates_of(axes: Mapping[str, int], rank: int) -> dict[str, int] | None:
    """Return where a rank stands on a grid of these axes, in row-major order; None when it is not on it."""
    places = []
    for length in reversed(list(axes.values())):
        rank, place = divmod(rank, length)
        places.append(place)
    return dict(zip(axes, reversed(places), strict=True)) if rank == 0 else None


def rank_at(axes: Mapping[str, int], coordinates: Mapping[str, int]) -> int:
    """Return the rank at these coordinates, one for each axis: the inverse of `coordinates_of`."""
    rank = 0
    for name, length in axes.items():
        rank = rank * length + coordinates[name]
    return rank


def _checked(axes: dict[str, int], size: int) -> dict[str, int]:
    """Return the axes; raise where they make no grid in a world of this size."""
    layout = ", ".join(f"{name}={length}" for name, length in axes.items())
    for name, length in axes.items():
        if name in RESERVED:
            raise ArgumentError(f"Grid({layout}): an axis cannot be called {name!r}")
        if not isinstance(length, int | np.integer) or length < 1:
            raise ArgumentError(f"Grid({layout}): expected a whole number of one or more for {name}, found {length!r}")
    needed = math.prod(axes.values())
    if needed > size:
        raise ArgumentError(f"Grid({layout}) needs {needed} ranks, the world has {size}")
    return {name: int(length) for name, length in axes.items()}
