r"""The cumulative sum along a tensor axis that is split over ranks: the discrete integral, and a parallel scan.

=========  ==========================================================
map        :math:`y_k = \sum_{j \le k} x_j`, wherever the entries lie
adjoint    :math:`x_j = \sum_{k \ge j} y_k`
matrix     ones on and below the diagonal, in the order of the tensor's entries
=========  ==========================================================

Each rank sums up its own entries (C, on its interval) and adds what all ranks before it have in total. With t the total
of a rank's entries and P the exclusive `PrefixSum` of the totals,

.. math:: A = C + t^* P\, t

where :math:`t^*` adds one number to all entries of an interval. Only totals travel, in about log2(p) rounds.

Source: G. E. Blelloch, "Prefix sums and their applications", CMU-CS-90-190 (1990), section 1.
"""

from __future__ import annotations

import operator

from distdl_ops.compositions.local import Local
from distdl_ops.layouts.roles import Copies, Split
from distdl_ops.movement.prefix_sum import PrefixSum
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import CumulativeSum, Euclidean, LinearOperator, Reshape, Restriction, SpaceError, SumAxes
from linop.arguments import checked


@checked
def DistributedCumulativeSum(space: DistributedSpace, axis: int = -1) -> LinearOperator:
    """Return the operator that sums all entries of a distributed tensor up to each one. Collective to build.

    `linop.CumulativeSum` is the same on an array in one process. Of `Copies` along some grid axis, each is summed up on
    its own; entries that no interval holds count as zeros.

    Parameters
    ----------
    space : DistributedSpace
        Domain and codomain: any roles along any grid axes. Where the tensor axis is split, its intervals rise from rank
        to rank, without overlap; empty ones may lie anywhere.
    axis : int, optional
        Of the tensor; a negative one counts from the end, as in `linop.CumulativeSum`.

    Returns
    -------
    LinearOperator
        ``Local(CumulativeSum) + Local(t*) @ PrefixSum @ Local(t)``; without communication where the axis is not split.

    Raises
    ------
    SpaceError
        When the tensor has no such axis, or the intervals do not rise: a `Repartition` to such that do comes before.
    AgreementError
        When the ranks do not pass the same arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (5,), rows=Split(0))
    ...     A, x = DistributedCumulativeSum(S), S.from_global(np.ones(5))
    ...     return A(x).tolist(), A.H(x).tolist()
    >>> simulate(3, main)
    [([1.0, 2.0], [5.0, 4.0]), ([3.0, 4.0], [3.0, 2.0]), ([5.0], [1.0])]
    """
    require_spaces("DistributedCumulativeSum", space)
    axis, name = agreed(
        space.grid.world,
        "DistributedCumulativeSum",
        lambda: _check(space, axis),
        describe=lambda checked_arguments: f"DistributedCumulativeSum({space}, {checked_arguments[0]})",
    )
    part = Euclidean(space.shape, space.dtype, space.field)
    within = Local(space, space, CumulativeSum(part, axis))
    if name is None:
        return within
    shape = tuple(1 if k == axis else n for k, n in enumerate(space.global_shape))
    totals = DistributedSpace(space.grid, shape, space.dtype, space.field, **{**space.roles, name: Copies()})
    summed = SumAxes(part, axis)
    kept = Reshape(summed.codomain, tuple(1 if k == axis else n for k, n in enumerate(space.shape)))
    held = Restriction(kept.codomain, tuple(map(slice, totals.shape)))  # a rank that holds nothing has no total, either
    total = Local(space, totals, held @ kept @ summed)
    return within + total.H @ PrefixSum(totals, name, exclusive=True) @ total


def _check(space: DistributedSpace, axis: int) -> tuple[int, str | None]:
    """Return the tensor axis, counted from the first, and the grid axis that splits it; None where it is not split."""
    where = f"DistributedCumulativeSum({space}, {axis!r})"
    ndim = len(space.global_shape)
    try:
        tensor_axis = range(ndim)[operator.index(axis)]
    except (IndexError, TypeError):
        raise SpaceError(f"{where}: expected one of the tensor's {ndim} axes, found {axis!r}") from None
    names = space.split_axes(tensor_axis)
    if not names:
        return tensor_axis, None
    intervals = space.layout.intervals(tensor_axis)
    if intervals is None or not (intervals.rising and all(map(space.layout.holds_once_along, names))):
        raise SpaceError(
            f"{where}: expected intervals inside the tensor that rise from rank to rank without overlap, found "
            f"{', '.join(f'{name}={space.roles[name]!r}' for name in names)}; a Repartition to {Split(tensor_axis)!r} "
            f"makes balanced ones"
        )
    if len(names) > 1:
        raise SpaceError(
            f"{where}: expected one grid axis that splits tensor axis {tensor_axis}, found {', '.join(names)}; a "
            f"Repartition to {Split(tensor_axis)!r} along one of them, and Replicated() along the others, comes before"
        )
    return tensor_axis, names[0]
