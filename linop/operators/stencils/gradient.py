"""The derivatives along several axes, side by side.

=========  =================================================================
map        ``x -> (D_1 x, ..., D_d x)``, D_k the finite difference along axis k
adjoint    ``(y_1, ..., y_d) -> D_1* y_1 + ... + D_d* y_d``: minus a divergence
matrix     the matrices of D_1 to D_d, one below the other
=========  =================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from linop.arguments import checked
from linop.blocks.stack import VStack
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.stencils.finite_difference import Boundary, FiniteDifference, Scheme
from linop.spaces import Product, Space
from linop.spaces.arrays_only import require_arrays


@checked
def Gradient(
    domain: Space,
    *,
    axes: Sequence[int] | None = None,
    order: int = 1,
    scheme: Scheme = "forward",
    boundary: Boundary = "valid",
    spacing: float | Sequence[float] = 1.0,
    codomain: Product | None = None,
) -> LinearOperator:
    """Return the gradient by finite differences: ``VStack(FiniteDifference(domain, axis), ...)``, one for each axis.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more.
    axes : sequence of int, optional
        Along which to differentiate, in this order; all by default.
    order, scheme, boundary
        As for `FiniteDifference`.
    spacing : float or sequence of float, optional
        Distance between neighbours: one for all axes, or one for each of them.
    codomain : Product, optional
        One space of arrays for each axis, of the shape of the derivative along it; by default those of
        `FiniteDifference`.

    Returns
    -------
    LinearOperator
        Its results are tuples with one array for each axis, also where there is only one.

    Raises
    ------
    SpaceError
        When there is no axis, the numbers of axes, spacings and spaces differ, or `FiniteDifference` raises.

    Notes
    -----
    With ``boundary="edge"`` and the forward scheme, this is the gradient of A. Chambolle, *An algorithm for total
    variation minimization and applications*, J. Math. Imaging Vis. 20 (2004); its adjoint is minus the divergence given
    there.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> G = Gradient(Euclidean((2, 3)), boundary="edge")
    >>> down, right = G(np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]))
    >>> down.tolist(), right.tolist()
    ([[7.0, 14.0, 28.0], [0.0, 0.0, 0.0]], [[1.0, 2.0, 0.0], [8.0, 16.0, 0.0]])
    """
    require_arrays("Gradient", domain)
    along = tuple(range(domain.ndim)) if axes is None else tuple(axes)
    if not along:
        raise SpaceError(f"Gradient on {domain}: expected one axis or more")
    spacings = tuple(spacing) if isinstance(spacing, Iterable) else (spacing,) * len(along)
    if len(spacings) != len(along):
        raise SpaceError(f"Gradient on {domain}: expected one spacing for each of {len(along)} axes, found {spacing!r}")
    if codomain is not None and not (isinstance(codomain, Product) and len(codomain.parts) == len(along)):
        raise SpaceError(
            f"Gradient : {domain} -> {codomain}: expected a Product of one space for each of {along} as codomain"
        )
    parts: tuple[Space | None, ...] = (None,) * len(along) if codomain is None else codomain.parts
    return VStack(
        *(
            FiniteDifference(domain, axis, order=order, scheme=scheme, boundary=boundary, spacing=h, codomain=part)
            for axis, h, part in zip(along, spacings, parts, strict=True)
        )
    )
