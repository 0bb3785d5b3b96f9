"""A distributed tensor continued by its mirror image.

=========  ==========================================================
map        ``y_k = x_|k|`` for k from ``1 - n`` to ``n - 1``: every rank receives what its results are made of
adjoint    that of ``Local(Restriction) @ Movement``: both halves are added, the entry in the middle once
matrix     that of `linop.Symmetrise` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

import numpy as np

from distdl_ops.compositions.shared import (
    interval_here,
    local,
    moved,
    require_codomain,
    result_space,
    settled,
    space_seen,
    whole,
)
from distdl_ops.layouts.intervals import Interval
from distdl_ops.spaces import DistributedSpace
from linop import Euclidean, LinearOperator, Restriction, SpaceError
from linop.arguments import checked
from linop.operators.axes import checked_axes


@checked
def DistributedSymmetrise(
    domain: DistributedSpace, axis: int = -1, *, codomain: DistributedSpace | None = None
) -> LinearOperator:
    """Return ``Local(Restriction) @ Movement``: `linop.Symmetrise`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    axis : int, optional
        Along which axis of the tensor; it has one entry or more.
    codomain : DistributedSpace, optional
        How the result is to lie. By default as the domain, in balanced intervals along the axis.

    Raises
    ------
    SpaceError
        When the axis does not exist or is empty, copies or overlaps would be added up, or the codomain has another
        shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
    ...     return DistributedSymmetrise(S)(S.from_global(np.array([1.0, 2.0, 3.0]))).tolist()
    >>> simulate(2, main)
    [[3.0, 2.0, 1.0], [2.0, 3.0]]
    """

    def build() -> tuple[int, tuple[int, ...]]:
        (along,) = checked_axes("Symmetrise", whole(domain), (axis,))
        n = domain.global_shape[along]
        if n == 0:
            raise SpaceError(f"expected one entry or more along axis {axis}")
        shape = tuple(2 * n - 1 if k == along else extent for k, extent in enumerate(domain.global_shape))
        require_codomain(domain, codomain, shape, domain.dtype)
        return along, shape

    along, shape = settled("DistributedSymmetrise", domain, build, lambda found: f"axis={found[0]}, {codomain=}")
    middle = domain.global_shape[along] - 1

    def needed(interval: Interval) -> Interval:
        start, stop = interval[0] - middle, interval[1] - middle
        if start >= stop:
            return (0, 0)
        return (min(abs(start), abs(stop - 1)) if start > 0 or stop <= 0 else 0), max(abs(start), abs(stop - 1)) + 1

    result = result_space(domain, codomain, shape, domain.dtype)
    seen = space_seen(result, domain.global_shape, {along: needed})

    def mirror(X: Euclidean, Y: Euclidean) -> LinearOperator:
        start, stop = interval_here(result, along)
        places = abs(np.arange(start, stop) - middle) - interval_here(seen, along)[0]
        return Restriction(X, (*(slice(None),) * along, places), codomain=Y)

    return moved(result, codomain) @ local(seen, result, mirror) @ moved(domain, seen)
