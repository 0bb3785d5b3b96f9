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
from linop.errors import SpaceError
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
    require_arrays("DirectionalDerivative", domain)
    spacings = tuple(spacing) if isinstance(spacing, Sequence) else (spacing,) * domain.ndim
    if not domain.ndim or len(direction) != domain.ndim or len(spacings) != domain.ndim:
        raise SpaceError(
            f"DirectionalDerivative on {domain}: expected a component and a spacing for each of its {domain.ndim} "
            f"axes, found {len(direction)} and {len(spacings)}"
        )
    if boundary == "valid":
        raise SpaceError(f"DirectionalDerivative on {domain}: boundary is 'edge', 'zero', 'periodic' or 'reflect'")
    total: LinearOperator | None = None
    for axis, (component, h) in enumerate(zip(direction, spacings, strict=True)):
        difference = FiniteDifference(domain, axis, scheme=scheme, boundary=boundary, spacing=h, codomain=domain)
        entries = np.asarray(component)
        try:
            entries = np.broadcast_to(entries, domain.shape)
        except ValueError:
            raise SpaceError(
                f"DirectionalDerivative on {domain}: expected components that broadcast to {domain.shape}, found "
                f"shape {entries.shape}"
            ) from None
        term = Diagonal(entries, domain) @ difference
        total = term if total is None else total + term
    assert total is not None
    return total
