"""Move: one rank's tensor to another rank, which is to send and to receive it.

=========  ==========================================================
map        ``At -> At``: the tensor lies elsewhere
adjoint    the move back, which is the inverse: the operator is unitary
matrix     the identity
=========  ==========================================================
"""

from typing import final

from distdl_ops.movement.movement import Movement, name_of_pair
from distdl_ops.spaces import DistributedSpace


@final
class Move(Movement):
    """Move: one rank's tensor to another rank, which is to send and to receive it. Collective to build.

    Parameters
    ----------
    source, target : DistributedSpace
        On one grid: ``At(i)`` and ``At(j)`` along the axes in question, and the same roles along all others; each part
        of a split tensor moves to the rank that has its place there. On two grids of the same world: ``At`` along every
        axis of both, so that the whole tensor lies on one rank of either.

    Raises
    ------
    SpaceError
        When the roles are others.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import At, DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, stages=3), (2,), stages=At(0))
    ...     A = Move(S, S.with_roles(stages=At(2)))
    ...     return A(S.from_global(np.array([1.0, 2.0]))).tolist(), str(A), world.traffic.messages
    >>> simulate(3, main)
    [([], 'Move(stages)', 1), ([], 'Move(stages)', 0), ([1.0, 2.0], 'Move(stages)', 0)]
    """

    @classmethod
    def _fault(cls, source: DistributedSpace, target: DistributedSpace) -> str | None:
        if source.grid == target.grid:
            return super()._fault(source, target)
        for space in (source, target):
            for name, role in space.roles.items():
                if name_of_pair(role, role) != "Move":
                    return f"between two grids, expected At along every axis of both, found {name}={role!r} in {space}"
        return None
