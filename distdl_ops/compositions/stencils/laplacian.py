"""The sum of second derivatives of a distributed tensor.

=========  ==========================================================
map        ``y = sum_k c_k D_k x``, D_k the second difference along axis k
adjoint    that of each term
matrix     that of `linop.Laplacian` between the two embeddings
=========  ==========================================================

Along an axis that is not split, a term needs no communication; along the others, it exchanges a halo of one entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

from distdl_ops.compositions.shared import require_codomain, settled, whole
from distdl_ops.compositions.stencils.finite_difference import DistributedFiniteDifference
from distdl_ops.spaces import DistributedSpace
from linop import LinearOperator
from linop.arguments import checked
from linop.operators.stencils.finite_difference import Boundary
from linop.operators.stencils.laplacian import LaplacianTerms, laplacian_terms


@checked
def DistributedLaplacian(
    domain: DistributedSpace,
    axes: int | Sequence[int] | None = None,
    *,
    weights: Sequence[float] | None = None,
    boundary: Boundary = "zero",
    spacing: float | Sequence[float] = 1.0,
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return ``sum_k c_k D_k``, of second differences: `linop.Laplacian`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    axes, weights, boundary, spacing
        As for `linop.Laplacian`; axes are those of the tensor.
    codomain : DistributedSpace, optional
        How the result is to lie; as the domain, by default.

    Raises
    ------
    SpaceError
        When `linop.Laplacian` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (4, 3), rows=Split(0))
    ...     x = np.zeros((4, 3))
    ...     x[1, 1] = 1
    ...     return S.to_global(DistributedLaplacian(S)(S.from_global(x))).tolist()
    >>> simulate(2, main)[0]
    [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    codomain = domain if codomain is None else codomain

    def build() -> LaplacianTerms:
        require_codomain(domain, codomain, domain.global_shape, domain.dtype)
        return laplacian_terms("DistributedLaplacian", whole(domain), axes, weights, boundary, spacing)

    found = settled("DistributedLaplacian", domain, build, lambda terms: f"{terms}, {boundary=}, {codomain=}")

    def term(axis: int, factor: float, h: float) -> LinearOperator:
        return factor * DistributedFiniteDifference(
            domain, axis, order=2, scheme="central", boundary=boundary, spacing=h, codomain=codomain
        )

    return reduce(add, [term(*each) for each in found])
