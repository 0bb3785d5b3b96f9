"""The same values on a finer or coarser grid.

=========  ==========================================
map        interpolation at the points of the new grid, one axis after the other
adjoint    the transposed interpolations, in reverse order
matrix     the Kronecker product of one interpolation matrix for each axis
=========  ==========================================

Both grids cover the same interval, from the first to the last entry: of m new entries on an axis of n, entry i lies at
``i (n - 1) / (m - 1)``.
"""

from __future__ import annotations

import numpy as np

from linop.arguments import checked
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.reweight import reweight
from linop.errors import SpaceError
from linop.operators.grids.interpolation import Method, check_method, corners, nearest, weighted_sum
from linop.operators.indexing.restriction import Restriction
from linop.spaces import Euclidean, Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@checked
def Resampling(
    domain: Space, shape: int | tuple[int, ...], *, method: Method = "linear", codomain: Space | None = None
) -> LinearOperator:
    """Return the map that brings an array to another number of entries along its axes; the end points stay.

    ``scipy.ndimage.zoom(x, factors, order=1)`` and torch's ``interpolate(x, shape, align_corners=True)`` do the same.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    shape : int or tuple of int
        The new shape, as many axes as the domain has. An axis of one new entry keeps the first one.
    method : {"linear", "nearest"}, optional
        How values between are made; see `Interpolation`.
    codomain : Space, optional
        Arrays of shape `shape`. By default, Euclidean; the domain, where the shape is the same.

    Returns
    -------
    LinearOperator
        The product of one interpolation for each axis that changes.

    Raises
    ------
    SpaceError
        When the shape is none for the domain, or asks for entries of an axis that has none.

    Examples
    --------
    >>> A = Resampling(Euclidean(3), 5)
    >>> A(np.array([0.0, 2.0, 8.0])).tolist()
    [0.0, 1.0, 2.0, 5.0, 8.0]
    >>> A.H(np.array([0.0, 1.0, 0.0, 0.0, 0.0])).tolist()
    [0.5, 0.5, 0.0]
    """
    require_arrays("Resampling", domain)
    check_method("Resampling", method)
    new = Euclidean(shape, domain.dtype, domain.field).shape
    if len(new) != domain.ndim or any(n == 0 < m for n, m in zip(domain.shape, new, strict=True)):
        raise SpaceError(f"Resampling of {domain}: expected a shape of {domain.ndim} axes with entries, found {new}")
    codomain = resolve_codomain("Resampling", domain, codomain, new)
    result: LinearOperator = Identity(domain)
    changed = [axis for axis in range(domain.ndim) if domain.shape[axis] != new[axis]]
    for axis in changed:
        between = Euclidean((*new[: axis + 1], *domain.shape[axis + 1 :]), domain.dtype, domain.field)
        result = _along(axis, result.codomain, codomain if axis == changed[-1] else between, method) @ result
    return result if changed else reweight(result, domain, codomain)


def _along(axis: int, domain: Space, codomain: Space, method: Method) -> LinearOperator:
    """Return the interpolation along one axis, which the two spaces have in different lengths."""
    n, m = domain.shape[axis], codomain.shape[axis]
    points = np.arange(m) * (n - 1) / max(m - 1, 1)  # one rounding: grid points are met exactly
    before = (slice(None),) * axis
    if method == "nearest":
        return Restriction(domain, (*before, nearest(points)), codomain=codomain)
    index, weights = corners(points, n)
    columns = weights.reshape(m, 2, *(1,) * (domain.ndim - axis - 1))
    return weighted_sum(Restriction(domain, (*before, index)), columns, axis + 1, codomain)
