"""Repartition: the same tensor, cut in another way.

=========  ==========================================================
map        one partition to another: every entry moves to the rank that holds it there
adjoint    the repartition back, which is the inverse: the operator is unitary
matrix     a permutation
=========  ==========================================================
"""

from distdl_ops.movement.movement import Movement
from distdl_ops.spaces import DistributedSpace


class Repartition(Movement):
    """Repartition: the same tensor, cut in another way. Collective.

    Parameters
    ----------
    source, target : DistributedSpace
        Each holds every tensor entry on one rank and nothing else: ``Split`` into intervals that cover their axis
        without overlap, and ``At``, in any combination and on any grid of the same world.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2, 3), rows=Split(0))
    ...     A = Repartition(S, S.with_roles(rows=Split(1)))
    ...     return A(S.from_global(np.arange(6.0).reshape(2, 3))).tolist()
    >>> simulate(2, main)
    [[[0.0, 1.0], [3.0, 4.0]], [[2.0], [5.0]]]
    """

    @classmethod
    def _fault(cls, source: DistributedSpace, target: DistributedSpace) -> str | None:
        for space in (source, target):
            if not space.layout.is_partition:
                return f"expected two partitions, each entry on one rank; {space} is none"
        return None
