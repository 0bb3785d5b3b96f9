"""Gather: the tensor that the ranks of a grid axis hold in intervals, to one of them.

=========  ==========================================================
map        ``Split -> At``: the rank receives every interval
adjoint    ``At -> Split``, a scatter
matrix     columns of the identity: a permutation, where the intervals divide the tensor axis
=========  ==========================================================

Where intervals overlap, what they have in common is added; entries that no interval has are zero.
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def Gather(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that collects a split tensor along grid axes, on one rank. Collective.

    Parameters
    ----------
    source : DistributedSpace
        ``Split`` along the axes that are gathered along, into any intervals.
    target : DistributedSpace
        ``At(i)`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
    ...     A = Gather(S, S.with_roles(rows=At(1)))
    ...     return A(S.from_global(np.array([1.0, 2.0, 3.0]))).tolist(), str(A.H)
    >>> simulate(2, main)
    [([], 'Scatter(rows)'), ([1.0, 2.0, 3.0], 'Scatter(rows)')]
    """
    return require("Gather", source, target, roles_named("Gather", source, target))
