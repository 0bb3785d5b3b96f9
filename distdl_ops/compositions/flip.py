"""A distributed tensor in the opposite order along some axes.

=========  ==========================================================
map        ``y_i = x_(n - 1 - i)``: every rank receives what its results are, and turns it around
adjoint    that of ``Local(Flip) @ Movement``: the same, from the codomain to the domain
matrix     that of `linop.Flip` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from distdl_ops.compositions.shared import local, moved, require_codomain, result_space, settled, space_seen, whole
from distdl_ops.layouts.intervals import Interval
from distdl_ops.spaces import DistributedSpace
from linop import Flip, LinearOperator
from linop.arguments import checked


@checked
def DistributedFlip(
    domain: DistributedSpace, axes: int | Sequence[int] | None = None, *, codomain: DistributedSpace | None = None
) -> LinearOperator:
    """Return ``Local(Flip) @ Movement``: `linop.Flip`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    axes : int or sequence of int, optional
        Along which axes of the tensor; all by default.
    codomain : DistributedSpace, optional
        How the result is to lie; as the domain, by default.

    Raises
    ------
    SpaceError
        When `linop.Flip` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (5,), rows=Split(0))
    ...     A = DistributedFlip(S)
    ...     return str(A), A(S.from_global(np.arange(5.0))).tolist()
    >>> simulate(2, main)
    [('Local(Flip(0)) @ Repartition(rows)', [4.0, 3.0, 2.0]), ('Local(Flip(0)) @ Repartition(rows)', [1.0, 0.0])]
    """
    shape = domain.global_shape
    codomain = domain if codomain is None else codomain

    def build() -> tuple[int, ...]:
        serial = Flip(whole(domain), axes)
        require_codomain(domain, codomain, shape, domain.dtype)
        return serial.axes

    along = settled("DistributedFlip", domain, build, lambda found: f"axes={found}, {codomain=}")

    def mirrored(axis: int, interval: Interval) -> Interval:
        start, stop = interval
        return shape[axis] - stop, shape[axis] - start

    result = result_space(domain, codomain, shape, domain.dtype)
    seen = space_seen(result, shape, {axis: partial(mirrored, axis) for axis in along})
    return moved(result, codomain) @ local(seen, result, lambda X, Y: Flip(X, along, codomain=Y)) @ moved(domain, seen)
