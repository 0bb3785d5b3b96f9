"""An orthonormal basis that grows, kept as one batch of vectors.

A new vector is made orthogonal to all before it by one product with the whole basis, or by two where much has cancelled
(Gram and Schmidt, twice is enough): on distributed spaces, a few reductions, however many vectors there are.
"""

from __future__ import annotations

from typing import final

import numpy as np

from linop import arrays
from linop.arrays import Array, Vector
from linop.solve.scalars import Number, ratio, some
from linop.spaces import Space


@final
class Basis:
    """Orthonormal vectors of a space, or of each vector of a batch.

    Parameters
    ----------
    space : Space
        Whose inner product is meant.
    like : vector of the space, or a batch of them
        Its library, precision and batch axes are those of the vectors.
    capacity : int
        For how many vectors there is memory.

    Examples
    --------
    >>> from linop import Euclidean
    >>> basis = Basis(Euclidean(2), np.zeros(2), 2)
    >>> basis.append(np.array([3.0, 4.0])), round(basis.append(np.array([1.0, 0.0])), 6)
    (5.0, 0.8)
    >>> basis.combine(np.array([5.0, 0.0])).round(6).tolist()
    [3.0, 4.0]
    """

    def __init__(self, space: Space, like: Vector, capacity: int) -> None:
        self.space = space
        self.size = 0
        self._stack = arrays.each(lambda part: arrays.zeros((capacity, *part.shape), like=part), like)

    @property
    def vectors(self) -> Vector:
        """All vectors, as a batch; shares memory."""
        return arrays.each(lambda part: part[: self.size, ...], self._stack)

    def __getitem__(self, i: int) -> Vector:
        """Return a vector; shares memory."""
        return arrays.each(lambda part: part[i, ...], self._stack)

    def coefficients(self, x: Vector) -> np.ndarray:
        """Return the inner products of the vectors with `x`, the first axis over the basis."""
        return np.asarray(self.space.inner(self.vectors, x))

    def combine(self, coefficients: np.ndarray) -> Vector:
        """Return the sum of the first vectors times these coefficients, whose first axis is over the basis."""
        count = len(coefficients)

        def total(part: Array) -> Array:
            xp = arrays.namespace(part)
            if coefficients.ndim == 1:
                factors = arrays.cast(coefficients, part)
                if arrays.kind(factors) == "complex" and arrays.kind(part) == "real":
                    part = arrays.complexified(part)
                return xp.tensordot(xp.astype(factors, part.dtype), part[:count, ...], axes=1)
            return xp.sum(arrays.scale(coefficients, part[:count, ...]), axis=0)

        return arrays.each(total, self._stack)

    def orthogonal(self, x: Vector) -> tuple[np.ndarray, Vector, Number]:
        """Return the coefficients of `x` along the basis, what is left of it, and the norm of that.

        Where less than a tenth of the length is left, rounding shows: then, once more (Parlett, The Symmetric
        Eigenvalue Problem, SIAM 1998, section 6.9).
        """
        if not self.size:
            return np.zeros((0, *self.space.batch(x))), x, self.space.norm(x)
        found = self.coefficients(x)
        x = arrays.add(self.combine(-found), x, spent=True)
        size = self.space.norm(x)
        if some(100 * size * size < np.sum(np.abs(found) ** 2, axis=0)):
            again = self.coefficients(x)
            found, x = found + again, arrays.add(self.combine(-again), x, spent=True)
            size = self.space.norm(x)
        return found, x, size

    def put(self, x: Vector, size: Number) -> None:
        """Append a vector that is orthogonal to the others, divided by its norm."""
        factor = ratio(1.0, size)

        def store(part: Array, new: Array) -> None:
            if type(part) is np.ndarray is type(new) and isinstance(factor, float):
                np.multiply(factor, new, out=part[self.size, ...], casting="same_kind")
            else:
                part[self.size, ...] = arrays.scale(factor, new)

        arrays.each(store, self._stack, x)
        self.size += 1

    def append(self, x: Vector) -> Number:
        """Append what is left of a vector when the others are taken out, and return its norm."""
        _, rest, size = self.orthogonal(x)
        self.put(rest, size)
        return size
