r"""Prefix sum: every rank of a grid axis receives the sum of the arrays up to its own.

=========  ==========================================================
map        :math:`y_i = \sum_{j \le i} x_j` over the arrays of the ranks j of the axis; exclusive: over j < i
adjoint    the suffix sum, :math:`x_j = \sum_{i \ge j} y_i`; exclusive: over i > j
matrix     identities on and below the diagonal of blocks; exclusive: below it
=========  ==========================================================

With Z the `Shift` by one rank, the prefix sum is :math:`I + Z + Z^2 + \dots + Z^{p-1}`. What leaves the axis is lost,
:math:`Z^p = 0`, so this is a product of ``ceil(log2(p))`` factors, each of them one message a rank:

.. math:: (I + Z)\,(I + Z^2)\,(I + Z^4) \cdots

The exclusive one is the same times Z.

Source: W. D. Hillis, G. L. Steele, "Data parallel algorithms", Comm. ACM 29 (1986), 1170-1183.
"""

from __future__ import annotations

from distdl_ops.layouts.roles import Copies
from distdl_ops.movement.shift import Shift
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import Identity, LinearOperator, SpaceError
from linop.arguments import checked


@checked
def PrefixSum(space: DistributedSpace, axis: str, *, exclusive: bool = False) -> LinearOperator:
    """Return the operator that adds up the copies along a grid axis, up to each rank's own. Collective to build.

    MPI calls it a scan. Every rank sends and receives one message in each of ``ceil(log2(p))`` rounds.

    Parameters
    ----------
    space : DistributedSpace
        Domain and codomain: ``Copies()`` along the axis, and any roles along the others.
    axis : str
        Name of the grid axis.
    exclusive : bool, optional
        Whether a rank's own array is left out of its sum; the first rank then receives zeros.

    Returns
    -------
    LinearOperator
        The product above, of as many roundings behind an entry as it has factors.

    Raises
    ------
    SpaceError
        When the grid has no such axis, or the space is not one of copies along it.
    AgreementError
        When the ranks do not pass the same arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=4), (1,), rows=Copies())
    ...     A, B = PrefixSum(S, "rows"), PrefixSum(S, "rows", exclusive=True)
    ...     x = np.array([world.rank + 1.0])
    ...     return A(x).item(), B(x).item(), A.H(x).item()
    >>> simulate(4, main)
    [(1.0, 0.0, 10.0), (3.0, 1.0, 9.0), (6.0, 3.0, 7.0), (10.0, 6.0, 4.0)]
    """
    require_spaces("PrefixSum", space)
    length = agreed(
        space.grid.world,
        "PrefixSum",
        lambda: _check(space, axis),
        describe=lambda _: f"PrefixSum({space}, {axis!r}, exclusive={bool(exclusive)})",
    )
    result: LinearOperator = Identity(space)
    distance = 1
    while distance < length:
        result = (Identity(space) + Shift(space, distance, axis, periodic=False)) @ result
        distance *= 2
    return result @ Shift(space, 1, axis, periodic=False) if exclusive else result


def _check(space: DistributedSpace, axis: str) -> int:
    """Return the length of the axis; raise unless the space has copies along it."""
    name = f"PrefixSum({space}, {axis!r})"
    if axis not in space.roles:
        raise SpaceError(f"{name}: expected an axis of the grid, one of {', '.join(space.roles)}; found {axis!r}")
    role = space.roles[axis]
    if role != Copies():
        raise SpaceError(
            f"{name}: expected Copies() along {axis!r}, a vector of each rank's own; found {role!r}. Copy makes copies "
            f"of a replicated vector; DistributedCumulativeSum sums along a tensor axis that is split"
        )
    return space.grid.axes[axis]
