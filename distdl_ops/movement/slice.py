"""Slice: of the vector that all ranks of a grid axis store, everyone's interval. No communication.

=========  ==========================================================
map        ``Replicated -> Split``: rank i keeps the entries in its interval
adjoint    ``Split -> Replicated``, an all-gather, which adds what intervals have in common
matrix     rows of the identity: a permutation, where the intervals divide the tensor axis
=========  ==========================================================
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def Slice(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that cuts a replicated tensor along grid axes. Collective to build.

    Parameters
    ----------
    source : DistributedSpace
        ``Replicated()`` along the axes in question.
    target : DistributedSpace
        ``Split`` there, into any intervals; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Replicated, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Replicated())
    ...     A = Slice(S, S.with_roles(rows=Split(0)))
    ...     return A(np.array([1.0, 2.0, 3.0])).tolist(), str(A.H), world.traffic.messages
    >>> simulate(2, main)
    [([1.0, 2.0], 'AllGather(rows)', 0), ([3.0], 'AllGather(rows)', 0)]
    """
    return require("Slice", source, target, roles_named("Slice", source, target))
