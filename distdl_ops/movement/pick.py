"""Pick: of the vector that all ranks of a grid axis store, one rank's replica. No communication.

=========  ==========================================================
map        ``Replicated -> At``: the rank keeps the vector, the others drop it
adjoint    ``At -> Replicated``, a broadcast
matrix     the identity
=========  ==========================================================
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def Pick(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that keeps a replicated tensor on one rank along grid axes. Collective to build.

    Parameters
    ----------
    source : DistributedSpace
        ``Replicated()`` along the axes in question.
    target : DistributedSpace
        ``At(i)`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2,), rows=Replicated())
    ...     A = Pick(S, S.with_roles(rows=At(1)))
    ...     return A(np.array([1.0, 2.0])).tolist(), str(A.H), world.traffic.messages
    >>> simulate(2, main)
    [([], 'Broadcast(rows)', 0), ([1.0, 2.0], 'Broadcast(rows)', 0)]
    """
    return require("Pick", source, target, roles_named("Pick", source, target))
