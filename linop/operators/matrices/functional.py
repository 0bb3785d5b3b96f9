"""The pairing with a fixed vector: a map to the numbers.

=========  ==========================================
map        ``x -> dot(v, x) = sum_i conj(v_i) x_i``
adjoint    ``c -> c v``
matrix     ``v^H``, one row
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
import numpy.typing as npt

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.queries.cost import Cost, cost, moved, products, reals
from linop.spaces import Euclidean, Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@final
class Functional(LinearOperator):
    """The map ``x -> dot(v, x)`` to the numbers: arrays without axes.

    It pairs coordinates, also in a space with weights: ``Functional(v, X) @ X.riesz`` is ``x -> X.inner(v, x)``. On a
    real space of complex arrays the pairing is the real part, and the numbers are real.

    Parameters
    ----------
    vector : array_like, of the shape of a vector
        v, real or complex; copied. Integers become float64.
    domain : Space, optional
        A space of arrays. Euclidean of the shape and dtype of the vector by default.
    codomain : Space, optional
        Arrays without axes, real where the field of the domain is. By default, Euclidean.

    Raises
    ------
    SpaceError
        When the entries are not finite, of another shape, or complex where the arrays are real.

    Examples
    --------
    >>> f = Functional([1.0, 2.0])
    >>> float(f(np.array([3.0, 4.0])))
    11.0
    >>> f.H(np.array(2.0)).tolist()
    [2.0, 4.0]
    >>> f
    Functional([1.0, 2.0]) : Euclidean((2,), float64) -> Euclidean((), float64)
    """

    @checked
    def __init__(self, vector: npt.ArrayLike, domain: Space | None = None, *, codomain: Space | None = None) -> None:
        found = np.array(vector)
        if found.dtype.kind in "biu":
            found = found.astype(np.float64)
        if found.dtype.kind not in "fc":
            raise SpaceError(f"Functional: expected numbers, found {found.dtype}")
        domain = Euclidean(found.shape, found.dtype) if domain is None else domain
        require_arrays("Functional", domain)
        if found.shape != domain.shape:
            raise SpaceError(f"Functional on {domain}: expected a vector of shape {domain.shape}, found {found.shape}")
        if found.dtype.kind == "c" and domain.dtype.kind != "c":
            raise SpaceError(f"Functional of {found.dtype} on {domain}: the arrays must be complex")
        if not np.all(np.isfinite(found)):
            raise SpaceError(f"Functional on {domain}: the entries must be finite")
        super().__init__(domain, resolve_codomain("Functional", domain, codomain, (), domain.coordinate_dtype))
        found.flags.writeable = False
        self.vector: np.ndarray[Any, Any] = found

    @property
    def exact(self) -> bool:
        """Exact where the entries have few binary digits."""
        return arrays.has_few_digits(self.vector)

    @property
    def roundings(self) -> int:
        """A product and a sum for each coordinate."""
        return 2 * self.domain.size

    @property
    def gain(self) -> float:
        """The length of the vector: the norm itself."""
        return math.sqrt(self._squared)

    @property
    def claims(self) -> Claims:
        """Of a vector of length one, that the adjoint keeps lengths; unitary, where there is one coordinate."""
        if self._squared != 1:
            return claims.NONE
        return claims.UNITARY if self.domain.size == 1 else frozenset({claims.COISOMETRY})

    @property
    def _squared(self) -> float:
        """The squared length of the vector."""
        return float(sum(np.sum(np.square(part, dtype=np.float64)) for part in (self.vector.real, self.vector.imag)))

    def _apply(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        vector = arrays.match(self.vector, like=x)
        x = xp.astype(x, vector.dtype, copy=False)
        paired = xp.asarray(xp.vecdot(arrays.flatten(vector, vector.ndim), arrays.flatten(x, self.domain.ndim)))
        if self.codomain.dtype.kind == "f" and arrays.kind(paired) == "complex":
            return arrays.copy(xp.real(paired))
        return paired

    def _apply_dual(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        numbers = xp.reshape(y, (*self.codomain.batch(y), *(1,) * self.domain.ndim))
        vector = arrays.match(self.vector, like=numbers)
        return xp.asarray(xp.astype(numbers, vector.dtype, copy=False) * vector)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.vector.dtype, self.vector.tobytes())

    def __str__(self) -> str:
        short = self.vector.ndim == 1 and self.vector.size <= 4
        return f"Functional({self.vector.tolist()})" if short else "Functional"


@cost.register
def _(operator: Functional) -> Cost:
    return Cost(products(operator.domain) + reals(operator.domain), moved(operator) + operator.vector.nbytes)
