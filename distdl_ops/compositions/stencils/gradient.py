"""The derivatives of a distributed tensor along several axes, side by side.

=========  =================================================================
map        ``x -> (D_1 x, ..., D_d x)``, D_k the finite difference along axis k
adjoint    ``(y_1, ..., y_d) -> D_1* y_1 + ... + D_d* y_d``: minus a divergence
matrix     the matrices of D_1 to D_d, one below the other
=========  =================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from distdl_ops.compositions.shared import settled
from distdl_ops.compositions.stencils.finite_difference import DistributedFiniteDifference
from distdl_ops.spaces import DistributedSpace
from linop import LinearOperator, Product, SpaceError, VStack
from linop.arguments import checked
from linop.operators.stencils.finite_difference import Boundary, Scheme


@checked
def DistributedGradient(
    domain: DistributedSpace,
    *,
    axes: Sequence[int] | None = None,
    order: int = 1,
    scheme: Scheme = "forward",
    boundary: Boundary = "valid",
    spacing: float | Sequence[float] = 1.0,
    codomain: Product | None = None,
) -> LinearOperator:
    """Return ``VStack(DistributedFiniteDifference(domain, axis), ...)``, one for each axis. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Tensors with one axis or more; holds each entry once.
    axes : sequence of int, optional
        Axes of the tensor along which to differentiate, in this order; all by default.
    order, scheme, boundary
        As for `linop.FiniteDifference`.
    spacing : float or sequence of float, optional
        Distance between neighbours: one for all axes, or one for each of them.
    codomain : Product, optional
        One distributed space for each axis; by default those of `DistributedFiniteDifference`.

    Returns
    -------
    LinearOperator
        Its results are tuples with one array for each axis, also where there is only one.

    Raises
    ------
    SpaceError
        When there is no axis, the numbers of axes, spacings and spaces differ, or `DistributedFiniteDifference` raises.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (2, 3), rows=Split(0))
    ...     down, right = DistributedGradient(S, boundary="edge")(
    ...         S.from_global(np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]))
    ...     )
    ...     return down.tolist(), right.tolist()
    >>> simulate(2, main)
    [([[7.0, 14.0, 28.0]], [[1.0, 2.0, 0.0]]), ([[0.0, 0.0, 0.0]], [[8.0, 16.0, 0.0]])]
    """

    def build() -> list[tuple[int, float, Any]]:
        along = tuple(range(domain.ndim)) if axes is None else tuple(axes)
        if not along:
            raise SpaceError("expected one axis or more")
        spacings = tuple(spacing) if isinstance(spacing, Iterable) else (spacing,) * len(along)
        if len(spacings) != len(along):
            raise SpaceError(f"expected one spacing for each of {len(along)} axes, found {spacing!r}")
        if codomain is not None and not (isinstance(codomain, Product) and len(codomain.parts) == len(along)):
            raise SpaceError(f"expected a Product of one space for each of {along} as codomain, found {codomain}")
        parts = [None] * len(along) if codomain is None else codomain.parts
        return list(zip(along, spacings, parts, strict=True))

    chosen = settled("DistributedGradient", domain, build, lambda chosen: f"{chosen}, {order=}, {scheme=}, {boundary=}")
    return VStack(
        *(
            DistributedFiniteDifference(
                domain, axis, order=order, scheme=scheme, boundary=boundary, spacing=h, codomain=part
            )
            for axis, h, part in chosen
        )
    )
