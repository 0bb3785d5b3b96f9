"""All-sum-reduce: the sum of all ranks' tensors, to a copy on every rank of a grid axis.

=========  ==========================================================
map        ``Copies -> Copies``: every rank receives the sum of p vectors
adjoint    itself: every rank's cotangents are summed as well
matrix     p by p identities
=========  ==========================================================

An all-reduce, ``Copies -> Replicated``, computes the same numbers, but its result is one vector that all ranks store.
Its adjoint is a copy without communication. Taking one for the other is the most common wrong gradient of distributed
training: off by a factor p.
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def AllSumReduce(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that adds up the copies along grid axes, to a copy on every rank. Collective.

    Parameters
    ----------
    source, target : DistributedSpace
        ``Copies()`` along the axes that are summed over; the same roles along all others.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (2,), rows=Copies())
    ...     A = AllSumReduce(S, S)
    ...     return A(np.full(2, world.rank + 1.0)).tolist(), A.H == A
    >>> simulate(3, main)
    [([6.0, 6.0], True), ([6.0, 6.0], True), ([6.0, 6.0], True)]
    """
    return require("AllSumReduce", source, target, roles_named("AllSumReduce", source, target))
