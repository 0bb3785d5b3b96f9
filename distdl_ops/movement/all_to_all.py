"""All-to-all: along the same grid axis, the tensor is cut along another of its axes.

=========  ==========================================================
map        ``Split(k) -> Split(l)``: rank i sends rank j what its interval of axis k and j's of axis l have in common
adjoint    the all-to-all back, which is the inverse: the operator is unitary
matrix     a permutation
=========  ==========================================================

This is the transposition of distributed Fourier transforms (a transform along an axis needs all of it on one rank), and
how sequence-parallel attention turns parts of the sequence into heads.

Source: "MPI: A Message-Passing Interface Standard", version 4.1 (2023), section 6.8, where it has the name from.
"""

from typing import final

from distdl_ops.movement.repartition import Repartition
from distdl_ops.spaces import DistributedSpace


@final
class AllToAll(Repartition):
    """All-to-all: along the same grid axis, the tensor is cut along another of its axes. Collective.

    It is a `Repartition` between two spaces that may besides be replicated along other grid axes.

    Parameters
    ----------
    source, target : DistributedSpace
        On one grid. Along the axes in question ``Split(k)`` and ``Split(l)`` with k and l different, each into
        intervals that divide the tensor axis: without overlap, and none of its entries left out. The same roles along
        all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2, 3), rows=Split(0))
    ...     A = AllToAll(S, S.with_roles(rows=Split(1)))
    ...     return A(S.from_global(np.arange(6.0).reshape(2, 3))).tolist()
    >>> simulate(2, main)
    [[[0.0, 1.0], [3.0, 4.0]], [[2.0], [5.0]]]
    """

    @classmethod
    def _fault(cls, source: DistributedSpace, target: DistributedSpace) -> str | None:
        expected = "expected Split of one tensor axis to Split of another along grid axes, the same roles along others"
        if source.grid != target.grid:
            return f"expected one grid, found {source.grid} and {target.grid}"
        moving = source.layout.moving_axes(target.layout)
        if not moving:
            return f"{expected}; found the same roles along all of them"
        for name in moving:
            s, t = source.roles[name], target.roles[name]
            if s.axis is None or t.axis is None or s.axis == t.axis:
                return f"{expected}; found {s!r} to {t!r} along {name!r}"
            for space, role, axis in ((source, s, s.axis), (target, t, t.axis)):
                if not space.layout.divides(axis):
                    return f"expected intervals that divide tensor axis {axis}, found {name}={role!r} in {space}"
        return None
