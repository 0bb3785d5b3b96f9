"""The sum over axes of an array.

=========  ==========================================
map        ``(S x)_i = sum_j x_ij``, where j runs over the axes that are summed
adjoint    ``(S* y)_ij = y_i``: copies along these axes
matrix     ``I (x) 1^T``, a row of ones for each sum
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import final

import numpy as np

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.queries.cost import Cost, cost, moved, reals
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@final
class SumAxes(LinearOperator):
    """The map that sums an array over some of its axes, as ``numpy.sum`` does. Its adjoint broadcasts.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    axes : int or tuple of int, optional
        The axes of a vector to sum over; negative ones count from the last. By default all of them: the result is a
        number, an array without axes.
    codomain : Space, optional
        Arrays of the axes that are left, in their order. By default, Euclidean.

    Raises
    ------
    SpaceError
        When an axis does not exist or is named twice, or the codomain has another shape.

    Examples
    --------
    >>> from linop import Euclidean
    >>> S = SumAxes(Euclidean((2, 3)), axes=1)
    >>> S(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).tolist()
    [6.0, 15.0]
    >>> S.H(np.array([1.0, 2.0])).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """

    exact = True

    @checked
    def __init__(
        self, domain: Space, axes: int | tuple[int, ...] | None = None, *, codomain: Space | None = None
    ) -> None:
        require_arrays("SumAxes", domain)
        self.axes = _checked_axes(domain, axes)
        left = tuple(n for axis, n in enumerate(domain.shape) if axis not in self.axes)
        super().__init__(domain, resolve_codomain("SumAxes", domain, codomain, left))

    @property
    def terms(self) -> int:
        """How many entries stand in one sum."""
        return math.prod(self.domain.shape[axis] for axis in self.axes)

    @property
    def roundings(self) -> int:
        """One for each addition."""
        return max(self.terms - 1, 0)

    @property
    def gain(self) -> float:
        """The root of the number of terms: the norm itself."""
        return math.sqrt(self.terms)

    @property
    def claims(self) -> Claims:
        """Unitary, where one entry is each sum."""
        return claims.UNITARY if self.terms == 1 else claims.NONE

    def _apply(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        summed = xp.sum(x, axis=tuple(axis - self.domain.ndim for axis in self.axes), keepdims=True)
        return xp.reshape(summed, (*self.domain.batch(x), *self.codomain.shape))

    def _apply_dual(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        batch = self.codomain.batch(y)
        kept = tuple(1 if axis in self.axes else n for axis, n in enumerate(self.domain.shape))
        return arrays.copy(xp.broadcast_to(xp.reshape(y, (*batch, *kept)), (*batch, *self.domain.shape)))

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.axes)

    def __str__(self) -> str:
        return f"SumAxes(axes={self.axes})"


@checked
def Mean(domain: Space, axes: int | tuple[int, ...] | None = None, *, codomain: Space | None = None) -> LinearOperator:
    """Return the map that averages an array over some of its axes: the sum over the number of terms.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    axes : int or tuple of int, optional
        The axes to average over, all by default; see `SumAxes`.
    codomain : Space, optional
        Arrays of the axes that are left; see `SumAxes`.

    Raises
    ------
    SpaceError
        When there is nothing to average, and where `SumAxes` raises.

    Examples
    --------
    >>> from linop import Euclidean
    >>> M = Mean(Euclidean((2, 2)))
    >>> print(M)
    0.25 * SumAxes(axes=(0, 1))
    >>> float(M(np.array([[1.0, 2.0], [3.0, 6.0]])))
    3.0
    """
    total = SumAxes(domain, axes, codomain=codomain)
    if total.terms == 0:
        raise SpaceError(f"Mean over the axes {total.axes} of {domain}: there is nothing to average")
    return (1 / total.terms) * total


def _checked_axes(domain: Space, axes: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the axes in rising order, none negative; raise where they are none of the domain's."""
    if axes is None:
        return tuple(range(domain.ndim))
    try:
        return tuple(sorted(np.lib.array_utils.normalize_axis_tuple(axes, domain.ndim)))
    except (TypeError, ValueError) as error:
        raise SpaceError(
            f"SumAxes of {domain}: expected different axes of {domain.ndim}, found {axes!r} ({error})"
        ) from None


@cost.register
def _(operator: SumAxes) -> Cost:
    return Cost(reals(operator.domain), moved(operator))
