"""Running means of a distributed tensor.

=========  ==========================================================
map        the mean of the entries around entry i, so many along each axis
adjoint    that of ``1 / n * Local(Correlation) @ Movement``
matrix     that of `linop.Smoothing` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from distdl_ops.compositions.shared import require_codomain, settled, whole
from distdl_ops.compositions.stencils.convolution import DistributedCorrelation
from distdl_ops.spaces import DistributedSpace
from linop import LinearOperator
from linop.arguments import checked
from linop.operators.stencils.finite_difference import Boundary
from linop.operators.stencils.smoothing import window_of


@checked
def DistributedSmoothing(
    domain: DistributedSpace,
    width: int | Sequence[int],
    axes: int | Sequence[int] | None = None,
    *,
    boundary: Boundary = "edge",
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return the running mean over a window: `linop.Smoothing`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    width, axes, boundary
        As for `linop.Smoothing`; axes are those of the tensor.
    codomain : DistributedSpace, optional
        How the result is to lie; as the domain, by default.

    Raises
    ------
    SpaceError
        When `linop.Smoothing` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (5,), rows=Split(0))
    ...     return DistributedSmoothing(S, 3)(S.from_global(np.array([0.0, 0.0, 3.0, 0.0, 0.0]))).tolist()
    >>> simulate(2, main)
    [[0.0, 1.0, 1.0], [1.0, 0.0]]
    """
    codomain = domain if codomain is None else codomain

    def build() -> tuple[int, ...]:
        require_codomain(domain, codomain, domain.global_shape, domain.dtype)
        return window_of("DistributedSmoothing", whole(domain), width, axes, boundary)

    size = settled("DistributedSmoothing", domain, build, lambda found: f"width={found}, {boundary=}, {codomain=}")
    padding = [(n // 2, n // 2) for n in size]
    ones = DistributedCorrelation(domain, np.ones(size), padding=padding, boundary=boundary, codomain=codomain)  # type: ignore[arg-type]
    return (1 / math.prod(size)) * ones
