"""All-gather: the tensor that the ranks of a grid axis hold in intervals, to all of them.

=========  ==========================================================
map        ``Split -> Copies`` or ``Split -> Replicated``: everyone receives every interval
adjoint    from ``Copies``, a reduce-scatter: the cotangents of p vectors are summed; from ``Replicated``, a slice
           without communication, for the one vector that all ranks store has one cotangent
matrix     p times the columns of the identity, under each other; to ``Replicated``, once
=========  ==========================================================

Where intervals overlap, what they have in common is added; entries that no interval has are zero.
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import require, roles_named
from distdl_ops.spaces import DistributedSpace
from linop.arguments import checked


@checked
def AllGather(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return the movement that collects a split tensor along grid axes, on every rank. Collective.

    Parameters
    ----------
    source : DistributedSpace
        ``Split`` along the axes that are gathered along, into any intervals.
    target : DistributedSpace
        ``Copies()`` or ``Replicated()`` there; the same roles as the source along all other axes.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
    ...     A = AllGather(S, S.with_roles(rows=Copies()))
    ...     y = A(S.from_global(np.array([1.0, 2.0, 3.0])))
    ...     return y.tolist(), str(A.H), A.H(y).tolist()
    >>> simulate(2, main)[0]
    ([1.0, 2.0, 3.0], 'ReduceScatter(rows)', [2.0, 4.0])
    """
    return require("AllGather", source, target, roles_named("AllGather", source, target))
