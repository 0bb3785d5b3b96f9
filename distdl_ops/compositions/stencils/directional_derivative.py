"""The derivative of a distributed tensor in a direction, which may change from place to place.

=========  ==========================================================
map        ``y = sum_k v_k D_k x``, D_k the finite difference along axis k
adjoint    ``x = sum_k D_k* (conj(v_k) y)``
matrix     that of `linop.DirectionalDerivative` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt

from distdl_ops.compositions.diagonal import DistributedDiagonal
from distdl_ops.compositions.shared import fingerprint, require_codomain, settled, whole
from distdl_ops.compositions.stencils.finite_difference import DistributedFiniteDifference
from distdl_ops.spaces import DistributedSpace
from linop import LinearOperator, SpaceError
from linop.arguments import checked
from linop.operators.stencils.directional_derivative import directional_terms
from linop.operators.stencils.finite_difference import Boundary, Scheme


@checked
def DistributedDirectionalDerivative(
    domain: DistributedSpace,
    direction: Sequence[npt.ArrayLike],
    *,
    scheme: Scheme = "central",
    boundary: Boundary = "edge",
    spacing: float | Sequence[float] = 1.0,
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return ``sum_k v_k D_k``: `linop.DirectionalDerivative`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    direction : sequence of float or of array_like
        v, one component for each axis: a number, or an array that broadcasts to the tensor's shape, the same on every
        rank.
    scheme, boundary, spacing
        As for `linop.DirectionalDerivative`.
    codomain : DistributedSpace, optional
        How the result is to lie; holds each entry once. As the domain, by default.

    Raises
    ------
    SpaceError
        When `linop.DirectionalDerivative` raises, copies or overlaps would be added up, or the codomain has another
        shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3, 3), rows=Split(0))
    ...     D = DistributedDirectionalDerivative(S, [3.0, 4.0], scheme="forward")
    ...     x = np.add.outer(np.arange(3.0), 10 * np.arange(3.0))
    ...     return S.to_global(D(S.from_global(x)))[:2, :2].tolist()
    >>> simulate(2, main)[0]
    [[43.0, 43.0], [43.0, 43.0]]
    """
    codomain = domain if codomain is None else codomain

    def build() -> list[tuple[int, np.ndarray, float]]:
        require_codomain(domain, codomain, domain.global_shape, domain.dtype)
        if not codomain.layout.holds_once:
            raise SpaceError(f"expected a codomain that holds each entry once, found {codomain}")
        return directional_terms("DistributedDirectionalDerivative", whole(domain), direction, boundary, spacing)

    found = settled(
        "DistributedDirectionalDerivative",
        domain,
        build,
        lambda terms: f"{[(axis, fingerprint(v), h) for axis, v, h in terms]}, {scheme=}, {boundary=}, {codomain=}",
    )

    def term(axis: int, component: np.ndarray, h: float) -> LinearOperator:
        difference = DistributedFiniteDifference(
            domain, axis, scheme=scheme, boundary=boundary, spacing=h, codomain=codomain
        )
        return DistributedDiagonal(component, codomain) @ difference

    return reduce(add, [term(*each) for each in found])
