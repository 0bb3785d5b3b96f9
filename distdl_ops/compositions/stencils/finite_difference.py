"""Derivatives of a distributed tensor by finite differences.

=========  ==========================================================
map        ``y_i = h^-n sum_k c_k x_(i + k)`` along one axis, n the order of the derivative, h the spacing
adjoint    that of ``h^-n Local(Correlation(c)) @ Movement``
matrix     that of `linop.FiniteDifference` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

import numpy as np

from distdl_ops.compositions.shared import require_codomain, settled, whole
from distdl_ops.compositions.stencils.convolution import DistributedCorrelation
from distdl_ops.spaces import DistributedSpace
from linop import Euclidean, FiniteDifference, LinearOperator, SpaceError, matrix
from linop.arguments import checked
from linop.operators.stencils.finite_difference import Boundary, Scheme

BOUNDARIES: tuple[Boundary, ...] = ("valid", "zero", "periodic", "reflect", "edge")
"""What may lie beyond the ends of an axis; with ``"valid"``, nothing is asked of it."""


@checked
def DistributedFiniteDifference(
    domain: DistributedSpace,
    axis: int = -1,
    *,
    order: int = 1,
    scheme: Scheme = "forward",
    boundary: Boundary = "valid",
    spacing: float = 1.0,
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return the derivative along an axis: ``spacing^-order * Local(Correlation(stencil)) @ Movement``. Collective.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry of the tensor once; the axis may be split or not.
    axis, order, scheme, boundary, spacing
        As for `linop.FiniteDifference`; the axis is one of the tensor.
    codomain : DistributedSpace, optional
        How the derivative is to lie. By default as the domain, in balanced intervals where ``"valid"`` makes the axis
        shorter.

    Raises
    ------
    SpaceError
        When `linop.FiniteDifference` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (6,), rows=Split(0))
    ...     D = DistributedFiniteDifference(S, boundary="edge", spacing=0.5)
    ...     y = D(S.from_global(np.arange(6.0) ** 2))
    ...     return str(D), S.to_global(y).tolist()
    >>> simulate(2, main)[0]
    ('2 * Local(Correlation(2)) @ HaloExchange(rows)', [2.0, 6.0, 10.0, 14.0, 18.0, 0.0])
    """

    def build() -> tuple[np.ndarray, list[tuple[int, int]]]:
        if boundary not in BOUNDARIES:
            raise SpaceError(f"boundary is one of {', '.join(map(repr, BOUNDARIES))}, found {boundary!r}")
        X = whole(domain)
        # What is repeated beyond the ends needs tables as long as the axis in one process: zeros check the same.
        padded: Boundary = "valid" if boundary == "valid" else "zero"
        serial = FiniteDifference(X, axis, order=order, scheme=scheme, boundary=padded, spacing=spacing)
        require_codomain(domain, codomain, serial.codomain.shape, domain.dtype)
        stencil = _stencil(order, scheme)
        reach = stencil.size - 1
        below = {"forward": 0, "backward": reach, "central": reach // 2}[scheme]
        along = range(X.ndim)[axis]
        if boundary not in ("valid", "zero") and X.shape[along] == 0:
            raise SpaceError(f"axis {along} without entries has nothing to repeat; only zeros can be put around it")
        width = (0, 0) if boundary == "valid" else (below, reach - below)
        kernel = np.expand_dims(stencil, tuple(k for k in range(X.ndim) if k != along))
        return kernel, [width if k == along else (0, 0) for k in range(X.ndim)]

    kernel, padding = settled(
        "DistributedFiniteDifference",
        domain,
        build,
        lambda _: f"{axis=}, {order=}, {scheme=}, {boundary=}, {spacing=}, {codomain=}",
    )
    C = DistributedCorrelation(
        domain, kernel, padding=padding, boundary="zero" if boundary == "valid" else boundary, codomain=codomain
    )
    return float(spacing) ** -order * C


def _stencil(order: int, scheme: Scheme) -> np.ndarray:
    """Return the weights of neighbours at spacing one: the only row that a difference of as many entries has."""
    some = Euclidean(order + 2)
    reach = order + 2 - FiniteDifference(some, order=order, scheme=scheme).codomain.shape[0]
    return np.asarray(matrix(FiniteDifference(Euclidean(reach + 1), order=order, scheme=scheme))[0])
