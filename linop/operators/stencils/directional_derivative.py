"""The derivative in a direction, which may change from place to place.

=========  ==========================================
map        ``y = sum_k v_k D_k x``, D_k the finite difference along axis k
adjoint    ``x = sum_k D_k* (conj(v_k) y)``
matrix     ``sum_k diag(v_k) D_k``
=========  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import ArgumentTypeError, SpaceError
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.stencils.finite_difference import Boundary, FiniteDifference, Scheme
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays


@checked
def DirectionalDerivative(
    domain: Space,
    direction: Sequence[npt.ArrayLike],
    *,
    scheme: Scheme = "central",
    boundary: Boundary = "edge",
    spacing: float | Sequence[float] = 1.0,
) -> LinearOperator:
    """Return ``sum_k v_k D_k``, with a direction v that is the same everywhere, or a field of directions.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more.
    direction : sequence of float or of array_like
        v, one component for each axis: a number, or an array that broadcasts to the domain's shape. It is not
        normalised.
    scheme, boundary
        As for `FiniteDifference`; all but ``boundary="valid"``.
    spacing : float or sequence of float, optional
        Distance between neighbours: one for all axes, or one for each.

    Returns
    -------
    LinearOperator
        From the domain to itself.

    Raises
    ------
    SpaceError
        When there are not as many components or spacings as axes, a component has another shape, or `FiniteDifference`
        raises.

    Examples
    --------
    >>> from linop import Euclidean
    >>> D = DirectionalDerivative(Euclidean((3, 3)), [3.0, 4.0], scheme="forward")
    >>> D(np.add.outer(np.arange(3.0), 10 * np.arange(3.0)))[:2, :2].tolist()
    [[43.0, 43.0], [43.0, 43.0]]
    """
    total: LinearOperator | None = None
    for axis, component, h in directional_terms("DirectionalDerivative", domain, direction, boundary, spacing):
        difference = FiniteDifference(domain, axis, scheme=scheme, boundary=boundary, spacing=h, codomain=domain)
        term = Diagonal(np.broadcast_to(component, domain.shape), domain) @ difference
        total = term if total is None else total + term
    assert total is not None
    return total


def directional_terms(
    name: str,
    domain: Space,
    direction: Sequence[npt.ArrayLike],
    boundary: str,
    spacing: float | Sequence[float],
) -> list[tuple[int, np.ndarray, float]]:
    """Return the axis, the component and the spacing of each term; raise where the arguments do not fit."""
    require_arrays(name, domain)
    spacings = tuple(spacing) if isinstance(spacing, Sequence) else (spacing,) * domain.ndim
    if not domain.ndim or len(direction) != domain.ndim or len(spacings) != domain.ndim:
        raise SpaceError(
            f"{name} on {domain}: expected a component and a spacing for each of its {domain.ndim} axes, found "
            f"{len(direction)} and {len(spacings)}"
        )
    if boundary == "valid":
        raise SpaceError(f"{name} on {domain}: boundary is 'edge', 'zero', 'periodic' or 'reflect'")
    components = [np.asarray(component) for component in direction]
    for component in components:
        if component.dtype.kind not in "biufc":
            raise ArgumentTypeError(
                f"{name} on {domain}: expected direction to have numbers or arrays of them as components, found "
                f"{component.dtype}"
            )
        try:
            np.broadcast_to(component, domain.shape)
        except ValueError:
            raise SpaceError(
                f"{name} on {domain}: expected components that broadcast to {domain.shape}, found shape "
                f"{component.shape}"
            ) from None
    return list(zip(range(domain.ndim), components, spacings, strict=True))
