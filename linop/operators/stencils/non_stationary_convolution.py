"""Convolution with a kernel that changes from place to place.

=========  ==========================================
map        ``y_i = sum_k h_k(i - k) x_k``, the kernels h_k between those given are interpolated
adjoint    ``x_k = sum_i conj(h_k(i - k)) y_i``
matrix     column k holds kernel h_k, its centre on the diagonal
=========  ==========================================

With weights ``w_j(k)`` of linear interpolation, ``h_k = sum_j w_j(k) h_j``, so the map is a sum of stationary ones:
``sum_j Convolution(h_j) @ Diagonal(w_j)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.axes import checked_axes
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.stencils.correlation import Convolution
from linop.spaces import Space


@checked
def NonStationaryConvolution(
    domain: Space, kernels: npt.ArrayLike, places: Sequence[float], axis: int = -1
) -> LinearOperator:
    """Return ``sum_j Convolution(h_j) @ Diagonal(w_j)``: kernels given at some places, interpolated between them.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more.
    kernels : array_like, shape ``(count, length)``
        One kernel of odd length for each place; its middle entry is that of index zero.
    places : sequence of float
        Where along the axis, in increasing order: indices, whole or not. Before the first and after the last, kernels
        stay as they are there.
    axis : int, optional
        Along which to convolve.

    Returns
    -------
    LinearOperator
        Its results have the shape of x; x is continued by zeros.

    Raises
    ------
    SpaceError
        When the axis does not exist, kernels have an even length, or places are not as many, or not in order.

    Examples
    --------
    >>> from linop import Euclidean, matrix
    >>> A = NonStationaryConvolution(Euclidean(5), [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]], [1, 3])
    >>> matrix(A).tolist()[2]
    [0.0, 0.0, 1.0, 1.0, 0.0]
    >>> matrix(A)[:, 2].tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    along, given, where = kernels_at_places("NonStationaryConvolution", domain, kernels, places, axis)
    index, half = np.arange(domain.shape[along]), given.shape[1] // 2
    shape = [-1 if k == along else 1 for k in range(domain.ndim)]
    terms = []
    for j, kernel in enumerate(given):
        weights = np.interp(index, where, np.eye(len(where))[j])
        padding = [(half, half) if k == along else (0, 0) for k in range(domain.ndim)]
        convolution = Convolution(domain, kernel.reshape(shape), padding=padding, codomain=domain)
        terms.append(convolution @ Diagonal(np.broadcast_to(weights.reshape(shape), domain.shape), domain))
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


class KernelsAtPlaces(NamedTuple):
    """Checked arguments of `NonStationaryConvolution`: the axis, the kernels, and where along the axis they stand."""

    axis: int
    kernels: np.ndarray
    places: np.ndarray


def kernels_at_places(
    name: str, domain: Space, kernels: npt.ArrayLike, places: Sequence[float], axis: int
) -> KernelsAtPlaces:
    """Return checked arguments of `NonStationaryConvolution`; raise where they do not fit."""
    (along,) = checked_axes(name, domain, (axis,))
    given, where = np.asarray(kernels), np.asarray(places, np.float64)
    if given.ndim != 2 or given.shape[0] == 0 or given.shape[1] % 2 == 0:
        raise SpaceError(f"{name} on {domain}: expected kernels of shape (count, odd length), found {given.shape}")
    if where.shape != given.shape[:1] or np.any(np.diff(where) <= 0):
        raise SpaceError(f"{name} on {domain}: expected {len(given)} increasing places, found {places!r}")
    return KernelsAtPlaces(along, given, where)
