"""Reduce-scatter: the sum of all ranks' tensors, cut into intervals, to the ranks of a grid axis.

=========  ==========================================================
map        ``Copies -> Split``: rank i receives its interval of the sum of p vectors
adjoint    ``Split -> Copies``, an all-gather
matrix     p times the rows of the identity, side by side
=========  ==========================================================
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def ReduceScatter(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that adds up the copies along grid axes, each rank its interval. Collective.

    Parameters
    ----------
    source : DistributedSpace
        ``Copies()`` along the axes that are summed over.
    target : DistributedSpace
        ``Split`` there, into any intervals; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Copies())
    ...     A = ReduceScatter(S, S.with_roles(rows=Split(0)))
    ...     return A((world.rank + 1) * np.array([1.0, 2.0, 3.0])).tolist(), str(A.H)
    >>> simulate(2, main)
    [([3.0, 6.0], 'AllGather(rows)'), ([9.0], 'AllGather(rows)')]
    """
    return require("ReduceScatter", source, target, roles_named("ReduceScatter", source, target))
