"""A distributed tensor shifted along some axes, periodically.

=========  ==========================================================
map        ``y_i = x_(i - s)``, indices modulo n: every rank receives what its results are
adjoint    that of ``Local @ Movement``: the shift by -s
matrix     that of `linop.Roll` between the two embeddings
=========  ==========================================================

Along an axis that is split, the shift is a movement to periodic intervals, which begin s entries before those of the
results. Along others, every rank shifts what it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from distdl_ops.compositions.shared import local, moved, require_codomain, result_space, settled, space_seen, whole
from distdl_ops.layouts.intervals import Interval
from distdl_ops.spaces import DistributedSpace
from linop import LinearOperator, Roll
from linop.arguments import checked


@checked
def DistributedRoll(
    domain: DistributedSpace,
    shift: int | Sequence[int],
    axes: int | Sequence[int] | None = None,
    *,
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return the periodic shift of a tensor: `linop.Roll`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    shift, axes
        As for `linop.Roll`; axes are those of the tensor.
    codomain : DistributedSpace, optional
        How the result is to lie; as the domain, by default.

    Raises
    ------
    SpaceError
        When `linop.Roll` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (5,), rows=Split(0))
    ...     return DistributedRoll(S, 1)(S.from_global(np.arange(5.0))).tolist()
    >>> simulate(2, main)
    [[4.0, 0.0, 1.0], [2.0, 3.0]]
    """
    shape = domain.global_shape
    codomain = domain if codomain is None else codomain

    def build() -> tuple[int, ...]:
        serial = Roll(whole(domain), shift, axes)
        require_codomain(domain, codomain, shape, domain.dtype)
        return serial.shifts

    shifts = settled("DistributedRoll", domain, build, lambda found: f"shifts={found}, {codomain=}")

    def before(axis: int, interval: Interval) -> Interval:
        start, stop = interval
        return start - shifts[axis], stop - shifts[axis]

    result = result_space(domain, codomain, shape, domain.dtype)
    split = [axis for axis, steps in enumerate(shifts) if steps and result.split_axes(axis)]
    needs = {axis: partial(before, axis) for axis in split}
    seen = space_seen(result, shape, needs, "periodic")
    rest = [0 if axis in split else steps for axis, steps in enumerate(shifts)]
    return (
        moved(result, codomain)
        @ local(seen, result, lambda X, Y: Roll(X, rest, range(X.ndim), codomain=Y))
        @ moved(domain, seen)
    )
