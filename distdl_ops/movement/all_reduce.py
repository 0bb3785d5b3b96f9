"""All-reduce: the sum of all ranks' tensors, as the one vector that every rank of a grid axis stores.

=========  ==========================================================
map        ``Copies -> Replicated``: the sum of p vectors is one vector
adjoint    ``Replicated -> Copies``, a copy without communication
matrix     p identities side by side
=========  ==========================================================

An all-sum-reduce, ``Copies -> Copies``, computes the same numbers as p vectors, and is its own adjoint.
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def AllReduce(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that adds up the copies along grid axes, to one vector that all ranks store. Collective.

    Parameters
    ----------
    source : DistributedSpace
        ``Copies()`` along the axes that are summed over.
    target : DistributedSpace
        ``Replicated()`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (2,), rows=Copies())
    ...     A = AllReduce(S, S.with_roles(rows=Replicated()))
    ...     y = A(np.full(2, world.rank + 1.0))
    ...     return y.tolist(), str(A.H), A.H(y).tolist()
    >>> simulate(3, main)[1]
    ([6.0, 6.0], 'Copy(rows)', [6.0, 6.0])
    """
    return require("AllReduce", source, target, roles_named("AllReduce", source, target))
