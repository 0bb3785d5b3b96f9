"""Halo exchange: every rank receives its neighbours' entries next to its own.

=========  ==========================================================
map        a split tensor to the same with wider, overlapping intervals; or narrower ones, which trims it
adjoint    entries of the halo go back to their owners and are added there; what was trimmed off is zero
matrix     an identity whose rows in the halo are repeated, and those trimmed off left out
=========  ==========================================================

Cropping the halo instead of adding it back is a common wrong adjoint.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast, final

from distdl_ops.layouts.intervals import Listed, widened
from distdl_ops.layouts.roles import Role
from distdl_ops.layouts.runs import Boundary
from distdl_ops.movement.movement import Movement, movement_between
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import SpaceError
from linop.arguments import checked

Widths = Sequence[int] | Sequence[Sequence[int]]
"""Entries below and above: one pair for all ranks of a grid axis, or one for each."""


@final
class HaloExchange(Movement):
    """The movement that gives every rank a halo, or its adjoint, which adds halos back. Collective.

    A rank's interval ``(start, stop)`` becomes ``(start - below, stop + above)``. Halos may be wider than the
    neighbour's interval. Negative widths trim: where nothing is left, ``stop + above <= start - below``, the interval
    is empty, and the rank holds nothing. An interval that is empty before has no ends to add to or to take from: it
    stays empty, whatever the widths.

    Parameters
    ----------
    space : DistributedSpace
        Splits the tensor axes that get a halo.
    widths : dict
        For a tensor axis, how many entries below and above a rank's interval: a pair ``(below, above)`` for all ranks,
        or a sequence of pairs, one for each rank of the grid axis that splits it,
        or, of several that do, for each part in row-major order. Either may be zero or negative.
    boundary : {"zero", "periodic"}, optional
        What the halo holds beyond the tensor: zeros, or the entries from its other end.

    Raises
    ------
    SpaceError
        When an axis is not split, or into parts of several intervals, a width is no whole number, there are not as many
        pairs as parts, or the space holds an entry twice.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (4,), rows=Split(0))
    ...     A = HaloExchange(S, {0: (1, 1)})
    ...     y = A(S.from_global(np.array([1.0, 2.0, 3.0, 4.0])))
    ...     return y.tolist(), A.H(y).tolist()
    >>> simulate(2, main)
    [([0.0, 1.0, 2.0, 3.0], [1.0, 4.0]), ([2.0, 3.0, 4.0, 0.0], [6.0, 4.0])]

    The first rank takes one entry from its neighbour, and the second trims one off its own:

    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (4,), rows=Split(0))
    ...     A = HaloExchange(S, {0: [(0, 1), (-1, 0)]})
    ...     return A(S.from_global(np.array([1.0, 2.0, 3.0, 4.0]))).tolist()
    >>> simulate(2, main)
    [[1.0, 2.0, 3.0], [4.0]]
    """

    @checked
    def __new__(cls, space: DistributedSpace, widths: Mapping[int, Widths], boundary: Boundary = "zero") -> Self:
        """Return the movement to the space with halos. Where no part grows, it is a `Repartition`."""
        require_spaces("HaloExchange", space)
        wider = agreed(space.grid.world, "HaloExchange", lambda: _widen(space, widths, boundary))
        return cast("Self", movement_between(space, space.like(roles=wider)))


def _widen(space: DistributedSpace, widths: Mapping[int, Widths], boundary: Boundary) -> dict[str, Role]:
    """Return the roles with wider intervals."""
    where = f"HaloExchange({space}, {dict(widths)})"
    copied = [name for name, role in space.roles.items() if not space.layout.holds_once_along(name)]
    if copied:
        raise SpaceError(f"{where}: expected each entry once, found {copied[0]}={space.roles[copied[0]]!r}")
    wider: dict[str, Role] = dict(space.roles)
    for axis, given in widths.items():
        names = space.split_axes(axis)
        if not names:
            raise SpaceError(f"{where}: tensor axis {axis} is not split, so it has no halo")
        intervals = space.layout.intervals(axis)
        if intervals is None:
            raise SpaceError(
                f"{where}: tensor axis {axis} is split into parts of several intervals, each with ends of its own; "
                f"expected one interval for each rank, as Split({axis}) makes them"
            )
        everyone, each = _pair(given), _pairs(given, len(intervals))
        if everyone is not None:
            intervals = intervals.widened(*everyone)
        elif each is not None:
            intervals = Listed([widened(interval, *pair) for interval, pair in zip(intervals, each, strict=True)])
        else:
            raise SpaceError(
                f"{where}: expected a pair of widths for axis {axis}, or {len(intervals)} pairs, one for each rank "
                f"along {', '.join(map(repr, names))}; found {given!r}"
            )
        wider |= space.layout.roles_for(axis, intervals, boundary)
    return wider


def _pairs(widths: Any, count: int) -> list[tuple[int, int]] | None:
    """Return a pair of widths for each rank; None where the widths are no such pairs."""
    try:
        pairs = [pair for each in widths if (pair := _pair(each)) is not None]
        return pairs if len(pairs) == len(widths) == count else None
    except TypeError:
        return None


def _pair(widths: Any) -> tuple[int, int] | None:
    """Return two whole numbers; None where something else was found."""
    try:
        below, above = (operator.index(width) for width in widths)
    except (TypeError, ValueError):
        return None
    return below, above
