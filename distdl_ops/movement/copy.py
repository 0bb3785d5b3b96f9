"""Copy: of the vector that all ranks of a grid axis store, a vector of everyone's own. No communication.

=========  ==========================================================
map        ``Replicated -> Copies``: one vector becomes p equal ones
adjoint    ``Copies -> Replicated``, an all-reduce: the cotangents of p vectors are summed
matrix     p identities under each other
=========  ==========================================================

This is how the weights enter a data-parallel network: nothing moves, and the all-reduce of the gradients follows.
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def Copy(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that makes copies of a replicated tensor along grid axes. Collective to build.

    Parameters
    ----------
    source : DistributedSpace
        ``Replicated()`` along the axes in question.
    target : DistributedSpace
        ``Copies()`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2,), rows=Replicated())
    ...     A = Copy(S, S.with_roles(rows=Copies()))
    ...     y = A(np.array([1.0, 2.0]))
    ...     return y.tolist(), world.traffic.messages, str(A.H), A.H(y).tolist()
    >>> simulate(2, main)[1]
    ([1.0, 2.0], 0, 'AllReduce(rows)', [2.0, 4.0])
    """
    return require("Copy", source, target, roles_named("Copy", source, target))
