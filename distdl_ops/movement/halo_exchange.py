"""Halo exchange: every rank receives its neighbours' entries next to its own.

=========  ==========================================================
map        a split tensor to the same with wider, overlapping intervals
adjoint    entries of the halo go back to their owners and are added there
matrix     an identity whose rows in the halo are repeated
=========  ==========================================================

Cropping the halo instead of adding it back is a common wrong adjoint.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require
from distdl_ops.roles import Boundary, Interval, Role, Split
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import SpaceError


def HaloExchange(
    space: DistributedSpace, widths: Mapping[int, tuple[int, int]], boundary: Boundary = "zero"
) -> Movement:
    """Return the movement that gives every rank a halo. Collective.

    A rank whose interval is empty holds nothing, and gets no halo. Halos may be wider than the neighbour's interval.

    Parameters
    ----------
    space : DistributedSpace
        Splits the tensor axes that get a halo.
    widths : dict
        For a tensor axis, how many entries below and above a rank's interval.
    boundary : {"zero", "periodic"}, optional
        What the halo holds beyond the tensor: zeros, or the entries from its other end.

    Raises
    ------
    SpaceError
        When an axis is not split, a width is no whole number of zero or more, or the space holds an entry twice.

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
    """
    require_spaces("HaloExchange", space)
    widened = agreed(space.grid.world, "HaloExchange", lambda: _widen(space, widths, boundary))
    return require("HaloExchange", space, space.with_roles(**widened), lambda: None)


def _widen(space: DistributedSpace, widths: Mapping[int, tuple[int, int]], boundary: Boundary) -> dict[str, Role]:
    """Return the roles with wider intervals."""
    here = f"HaloExchange({space}, {dict(widths)})"
    copied = [name for name, role in space.roles.items() if not space.layout.holds_once_along(name)]
    if copied:
        raise SpaceError(f"{here}: expected each entry once, found {copied[0]}={space.roles[copied[0]]!r}")
    splits = {role.axis: (name, role) for name, role in space.roles.items() if isinstance(role, Split)}
    widened: dict[str, Role] = {}
    for axis, found in widths.items():
        if axis not in splits:
            raise SpaceError(f"{here}: tensor axis {axis} is not split, so it has no halo")
        try:
            below, above = (operator.index(width) for width in found)
        except (TypeError, ValueError):
            raise SpaceError(f"{here}: expected a pair of widths for axis {axis}, found {found!r}") from None
        if min(below, above) < 0:
            raise SpaceError(f"{here}: expected widths of zero or more for axis {axis}, found {found!r}")
        name, role = splits[axis]
        widened[name] = Split(axis, [_wider(interval, below, above) for interval in role.intervals], boundary)
    return widened


def _wider(interval: Interval, below: int, above: int) -> Interval:
    """Return an interval with its halo; an empty one stays empty."""
    start, stop = interval
    return interval if start == stop else (start - below, stop + above)
