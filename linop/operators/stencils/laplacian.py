"""The sum of second derivatives.

=========  ==========================================
map        ``y = sum_k c_k D_k x``, D_k the second difference along axis k
adjoint    that of each term
matrix     banded; symmetric, but for ``boundary="edge"`` and ``"reflect"``
=========  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.axes import checked_axes
from linop.operators.stencils.finite_difference import Boundary, FiniteDifference
from linop.spaces import Space


@checked
def Laplacian(
    domain: Space,
    axes: int | Sequence[int] | None = None,
    *,
    weights: Sequence[float] | None = None,
    boundary: Boundary = "zero",
    spacing: float | Sequence[float] = 1.0,
) -> LinearOperator:
    """Return ``sum_k c_k D_k``, D_k the second central difference along axis k.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more.
    axes : int or sequence of int, optional
        Along which to differentiate; all by default.
    weights : sequence of float, optional
        c, one number for each of these axes; one, by default.
    boundary : {"zero", "periodic", "reflect", "edge"}, optional
        What is found beyond the ends, as for `FiniteDifference`.
    spacing : float or sequence of float, optional
        Distance between neighbours: one for all axes, or one for each.

    Returns
    -------
    LinearOperator
        From the domain to itself.

    Raises
    ------
    SpaceError
        When there are not as many weights or spacings as axes, or `FiniteDifference` raises.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> Laplacian(Euclidean((3, 3)))(np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])).tolist()
    [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]
    """
    total: LinearOperator | None = None
    for axis, factor, h in laplacian_terms("Laplacian", domain, axes, weights, boundary, spacing):
        options = {"order": 2, "scheme": "central", "boundary": boundary, "spacing": h, "codomain": domain}
        term = factor * FiniteDifference(domain, axis, **options)  # type: ignore[arg-type]
        total = term if total is None else total + term
    assert total is not None
    return total


LaplacianTerms = list[tuple[int, float, float]]
"""For each term of a Laplacian, the axis, the weight and the spacing."""


def laplacian_terms(
    name: str,
    domain: Space,
    axes: int | Sequence[int] | None,
    weights: Sequence[float] | None,
    boundary: str,
    spacing: float | Sequence[float],
) -> LaplacianTerms:
    """Return the axis, the weight and the spacing of each term; raise where the arguments do not fit."""
    along = checked_axes(name, domain, axes)
    factors = (1.0,) * len(along) if weights is None else tuple(weights)
    spacings = tuple(spacing) if isinstance(spacing, Sequence) else (spacing,) * len(along)
    if not along or not len(factors) == len(spacings) == len(along):
        raise SpaceError(
            f"{name} on {domain}: expected a weight and a spacing for each of axes {along}, found {len(factors)} "
            f"and {len(spacings)}"
        )
    if boundary == "valid":
        raise SpaceError(f"{name} on {domain}: boundary is 'zero', 'periodic', 'reflect' or 'edge'")
    return list(zip(along, factors, spacings, strict=True))
