"""Arrays of one shape, in one process, with the usual dot product."""

from __future__ import annotations

import math
from typing import final

import numpy as np
import numpy.typing as npt

from linop import arrays
from linop.arguments import Whole, checked
from linop.arrays import Array, Scalar
from linop.spaces.space import Space


@final
class Euclidean(Space):
    """Arrays of one shape with the usual dot product, in one process.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of a vector's array.
    dtype : numpy dtype, optional
        A real or complex floating type, float64 by default.
    field : {"real", "complex"}, optional
        That of the dtype by default; ``"real"`` with a complex dtype makes a real space of complex arrays.

    Examples
    --------
    >>> X = Euclidean((2, 3))
    >>> X.size, X.field
    (6, 'real')
    >>> X.dot(np.ones((2, 3)), np.ones((2, 3)))
    6.0
    >>> C = Euclidean(3, complex, field="real")
    >>> C.size, C.dot(np.full(3, 1j), np.full(3, 1.0))          # the real part
    (6, 0.0)
    """

    @checked
    def __init__(
        self, shape: Whole | tuple[Whole, ...], dtype: npt.DTypeLike = np.float64, field: str | None = None
    ) -> None:
        super().__init__((shape,) if isinstance(shape, int | np.integer) else shape, dtype, field)

    @property
    def size(self) -> int:
        """Number of coordinates."""
        entries: int = math.prod(self.shape)
        return 2 * entries if self._realified else entries

    @property
    def _realified(self) -> bool:
        """Whether complex arrays are seen as vectors of a real space."""
        return self.field == "real" and self.dtype.kind == "c"

    def dot(self, x: Array, y: Array) -> Scalar:
        """Return the sum of ``conj(x) * y`` in double precision; see `Space.dot`."""
        result = arrays.to_numpy(arrays.dot(x, y, self.ndim))
        if self._realified:
            result = result.real
        return result.item() if result.ndim == 0 else result

    def to_coordinates(self, x: Array) -> np.ndarray:
        """Return the entries in row-major order; see `Space.to_coordinates`."""
        return arrays.to_numpy(self.flatten(x))

    def from_coordinates(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the array with these entries; see `Space.from_coordinates`."""
        vector: np.ndarray = self.unflatten(coordinates)
        return vector

    def flatten(self, x: Array) -> Array:
        """Return the coordinates in the library of `x`: the entries in one axis, both parts of complex ones."""
        if self._realified:
            xp = arrays.namespace(x)
            if arrays.kind(x) == "real":
                x = x + xp.zeros_like(x) * 1j
            x = xp.stack([xp.real(x), xp.imag(x)], axis=-1)
            return arrays.flatten(x, self.ndim + 1)
        return arrays.flatten(x, self.ndim)

    def unflatten(self, coordinates: Array) -> Array:
        """Return the array with these coordinates, in their library: the inverse of `flatten`."""
        batch = tuple(coordinates.shape[:-1])
        if self._realified:
            pairs = arrays.reshape(coordinates, (*batch, *self.shape, 2))
            return pairs[..., 0] + 1j * pairs[..., 1]
        return arrays.reshape(coordinates, (*batch, *self.shape))

    def locate(self, i: int) -> str:
        """Return the index of coordinate `i`."""
        part = f" ({('real', 'imaginary')[i % 2]} part)" if self._realified else ""
        place = np.unravel_index(i // 2 if self._realified else i, self.shape)
        return f"index {tuple(int(k) for k in place)}{part}"

    def _key(self) -> tuple[object, ...]:
        return (self.shape, self.dtype, self.field)

    def __repr__(self) -> str:
        field = ", field='real'" if self._realified else ""
        return f"Euclidean({self.shape}, {self.dtype}{field})"
