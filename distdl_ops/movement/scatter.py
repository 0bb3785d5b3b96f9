"""Scatter: one rank's tensor, cut into intervals, to the ranks of a grid axis.

=========  ==========================================================
map        ``At -> Split``: rank i receives the entries in its interval
adjoint    ``Split -> At``, a gather, which adds what intervals have in common
matrix     rows of the identity: a permutation, where the intervals divide the tensor axis
=========  ==========================================================
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def Scatter(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that deals a tensor out along grid axes, from the rank that has it. Collective.

    Parameters
    ----------
    source : DistributedSpace
        ``At(i)`` along the axes that are scattered along.
    target : DistributedSpace
        ``Split`` there, into any intervals: with overlap, everyone receives a halo at once. The same roles as the
        source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=At(1))
    ...     A = Scatter(S, S.with_roles(rows=Split(0)))
    ...     return A(S.from_global(np.array([1.0, 2.0, 3.0]))).tolist(), str(A.H)
    >>> simulate(2, main)
    [([1.0, 2.0], 'Gather(rows)'), ([3.0], 'Gather(rows)')]
    """
    return require("Scatter", source, target, roles_named("Scatter", source, target))
