"""Values between the points of a grid: multilinear interpolation.

=========  ==========================================
map        ``y_p = sum_c w_pc x_c``, over the corners c of the cell in which point p lies
adjoint    each number spreads to the corners of its cell, by the same weights
matrix     the weights: ``2^d`` numbers in a row, not negative, with the sum one
=========  ==========================================

In one dimension, a point at ``p = l + f`` has the corners l and l + 1, with the weights 1 - f and f. In more, weights
multiply.

Reference: W. H. Press et al., "Numerical Recipes", 3rd ed., Cambridge University Press 2007, section 3.6.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from linop.arguments import checked, renamed
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError, SpaceError
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.indexing.restriction import Restriction
from linop.operators.sums.sum_axes import SumAxes
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain

Method = Literal["linear", "nearest"]
"""How a value is made of those around it."""

Boundary = Literal["error", "zero", "edge"]
"""What becomes of points that lie outside the grid."""


@renamed(outside="boundary")
@checked
def Interpolation(
    domain: Space,
    points: npt.ArrayLike,
    *,
    method: Method = "linear",
    boundary: Boundary = "error",
    codomain: Space | None = None,
) -> LinearOperator:
    """Return the map that takes the values on a grid to the values at points between: sum of weighted corners.

    Parameters
    ----------
    domain : Space
        A space of arrays with one axis or more: the values on a grid whose points are the indices.
    points : array_like, shape ``(*shape, domain.ndim)``
        Where values are wanted, in index coordinates: ``0 <= p <= n - 1`` along an axis of n entries lies in the grid.
    method : {"linear", "nearest"}, optional
        Linear along each axis, or the value of the nearest grid point; halfway, that of the lower index.
    boundary : {"error", "zero", "edge"}, optional
        What points outside the grid get: nothing, they are an error; the value zero; or the value at the nearest place
        in the grid.
    codomain : Space, optional
        Arrays of shape `shape`. By default, Euclidean.

    Returns
    -------
    LinearOperator
        ``SumAxes @ Diagonal @ Restriction``; with the nearest grid point there is nothing to sum.

    Raises
    ------
    SpaceError
        When the points are no finite coordinates of the domain, or lie outside without leave.

    Examples
    --------
    >>> from linop import Euclidean
    >>> A = Interpolation(Euclidean(3), [[0.5], [2.0]])
    >>> A(np.array([1.0, 2.0, 4.0])).tolist()
    [1.5, 4.0]
    >>> A.H(np.array([1.0, 10.0])).tolist()
    [0.5, 0.5, 10.0]
    """
    require_arrays("Interpolation", domain)
    check_method("Interpolation", method)
    found, inside = _checked_points(domain, points, boundary)
    codomain = resolve_codomain("Interpolation", domain, codomain, inside.shape)
    if method == "nearest":
        values = Restriction(domain, tuple(map(nearest, found)), codomain=codomain)
        return values if inside.all() else Diagonal(inside, codomain) @ values
    cells = [corners(along, n) for along, n in zip(found, domain.shape, strict=True)]
    choices = np.indices((2,) * domain.ndim).reshape(domain.ndim, -1)  # of a corner: below or above, on each axis
    places = tuple(index[..., choice] for (index, _), choice in zip(cells, choices, strict=True))
    weights = math.prod(weight[..., choice] for (_, weight), choice in zip(cells, choices, strict=True))
    return weighted_sum(Restriction(domain, places), weights * inside[..., None], -1, codomain)


def corners(points: np.ndarray, extent: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two grid points around each coordinate in the grid of an axis, and their weights.

    Parameters
    ----------
    points : numpy array, any shape
        From 0 to ``extent - 1``.
    extent : int
        How many entries the axis has.

    Returns
    -------
    index, weights : numpy arrays, shape ``(*points.shape, 2)``
        Below and above. At the last entry, which has nothing above it, that entry again with the weight zero.
    """
    below = np.floor(points)
    above = np.minimum(below + 1, extent - 1)
    fraction = points - below
    return np.stack([below, above], axis=-1).astype(np.int64), np.stack([1 - fraction, fraction], axis=-1)


def nearest(points: np.ndarray) -> np.ndarray:
    """Return the index nearest to each coordinate; halfway, the lower one."""
    return np.ceil(points - 0.5).astype(np.int64)


def weighted_sum(taken: LinearOperator, weights: np.ndarray, axis: int, codomain: Space) -> LinearOperator:
    """Return the sum over an axis of the entries that an operator takes, times weights that broadcast to them."""
    between = taken.codomain
    return SumAxes(between, axis, codomain=codomain) @ Diagonal(weights, between) @ taken


def check_method(name: str, method: str) -> None:
    """Raise unless this is a method of interpolation."""
    if method not in get_args(Method):
        raise ArgumentError(f"{name}: expected a method among {get_args(Method)}, found {method!r}")


def _checked_points(domain: Space, points: npt.ArrayLike, boundary: str) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates in the grid, the axis of the domain first, and which of the points were to be taken.

    Points outside are moved to the edge, and count as inside where values are taken there.
    """
    if boundary not in get_args(Boundary):
        raise ArgumentError(f"Interpolation: expected boundary to be among {get_args(Boundary)}, found {boundary!r}")
    given = np.asarray(points)
    if domain.ndim == 0 or given.ndim == 0 or given.shape[-1] != domain.ndim or given.dtype.kind not in "iuf":
        raise SpaceError(
            f"Interpolation in {domain}: expected points of shape (..., {domain.ndim}), one real coordinate for each "
            f"of the domain's axes, found shape {given.shape} of {given.dtype}"
        )
    found = np.moveaxis(given, -1, 0).astype(np.float64)
    last = np.asarray(domain.shape, dtype=np.float64).reshape(-1, *(1,) * (given.ndim - 1)) - 1
    if not np.all(np.isfinite(found)):
        raise SpaceError(f"Interpolation in {domain}: the points must be finite")
    inside = np.all((found >= 0) & (found <= last), axis=0)
    if not inside.all() and (boundary == "error" or 0 in domain.shape):
        worst = found[:, ~inside][:, 0]
        raise SpaceError(
            f"Interpolation in {domain}: {np.count_nonzero(~inside)} of {inside.size} points lie outside the grid, the "
            f"first at {tuple(worst.tolist())}; expected coordinates from 0 to {tuple(n - 1 for n in domain.shape)}"
        )
    return np.clip(found, 0, np.maximum(last, 0)), inside | (boundary == "edge")
