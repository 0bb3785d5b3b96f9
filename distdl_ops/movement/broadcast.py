"""Broadcast: one rank's tensor to all ranks of a grid axis.

=========  ==========================================================
map        ``At -> Copies`` or ``At -> Replicated``: everyone receives x
adjoint    to ``Copies``, the sum of all copies (`SumReduce`); to ``Replicated``, a pick, for the one vector that all
           ranks store has one cotangent
matrix     p identities under each other; to ``Replicated``, the identity
=========  ==========================================================
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def Broadcast(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that copies a tensor along grid axes from the rank that has it. Collective.

    Parameters
    ----------
    source : DistributedSpace
        ``At(i)`` along the axes that are broadcast along.
    target : DistributedSpace
        ``Copies()`` or ``Replicated()`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, Copies, DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2,), rows=At(0))
    ...     A = Broadcast(S, S.with_roles(rows=Copies()))
    ...     y = A(S.from_global(np.array([1.0, 2.0])))
    ...     return str(A.H), y.tolist(), A.H(y).tolist()
    >>> simulate(2, main)
    [('SumReduce(rows)', [1.0, 2.0], [2.0, 4.0]), ('SumReduce(rows)', [1.0, 2.0], [])]
    """
    return require("Broadcast", source, target, roles_named("Broadcast", source, target))
