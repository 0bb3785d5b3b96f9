"""Sum-reduce: the sum of all ranks' tensors, to one rank of a grid axis.

=========  ==========================================================
map        ``Copies -> At``: the rank receives the sum of p vectors
adjoint    ``At -> Copies``, a broadcast
matrix     p identities side by side
=========  ==========================================================
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def SumReduce(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that adds up the copies along grid axes, on one rank. Collective.

    Parameters
    ----------
    source : DistributedSpace
        ``Copies()`` along the axes that are summed over.
    target : DistributedSpace
        ``At(i)`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, Copies, DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (2,), rows=Copies())
    ...     return SumReduce(S, S.with_roles(rows=At(1)))(np.full(2, world.rank + 1.0)).tolist()
    >>> simulate(3, main)
    [[], [6.0, 6.0], []]
    """
    return require("SumReduce", source, target, roles_named("SumReduce", source, target))
