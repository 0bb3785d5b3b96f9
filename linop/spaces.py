r"""Vector spaces with an inner product.

A space says what its vectors look like (shape, dtype) and how two of them are paired. Two pairings are kept apart:

* ``dot(x, y)`` pairs coordinates, :math:`\sum_i \bar x_i y_i`. Automatic differentiation lives here.
* ``inner(x, y)`` is the inner product. It is ``dot(x, R y)`` for the Riesz map ``R`` of a weighted space; the spaces of
  this release have ``R = I``, and the two are the same.

Solvers, checks and the algebra touch vectors through their space only. That is why they run unchanged when a vector is
spread over many processes.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np
import numpy.typing as npt

from linop import arrays
from linop.arrays import Array, Scalar
from linop.errors import SpaceError

Seed = int | tuple[int, ...]


class Space(ABC):
    """A finite-dimensional vector space with an inner product. Abstract: see `Euclidean`.

    Vectors are arrays whose last ``ndim`` axes are the space's `shape`; the axes before them are a batch. Precision
    follows the array: a float32 array is a vector of a float64 space. A complex array is no vector of a real space.

    Parameters
    ----------
    shape : tuple of int
        Shape of a vector's array (the part that this process holds).
    dtype : numpy dtype
        A real or complex floating type: the field, and the precision of the vectors that the space makes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self.shape = _checked_shape(shape)
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "fc":
            raise SpaceError(f"{type(self).__name__}: dtype must be real or complex floating, found {self.dtype}")

    @property
    @final
    def ndim(self) -> int:
        """Number of axes of a vector."""
        return len(self.shape)

    @property
    @final
    def field(self) -> str:
        """``"real"`` or ``"complex"``."""
        return "complex" if self.dtype.kind == "c" else "real"

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of coordinates of a vector, over all processes."""

    @abstractmethod
    def dot(self, x: Array, y: Array) -> Scalar:
        """Pair coordinates: the sum of ``conj(x) * y``, in double precision.

        Parameters
        ----------
        x, y : array, shape (*batch, *shape)
            Two vectors, or two batches of them.

        Returns
        -------
        float or complex, or numpy array of shape batch
            The same on every process.
        """

    @final
    def inner(self, x: Array, y: Array) -> Scalar:
        """Return the inner product of two vectors: `dot`, as long as the space carries no weights."""
        return self.dot(x, y)

    @final
    def norm(self, x: Array) -> Any:
        """Return the norm ``sqrt(inner(x, x))``: a float, or one for each vector of a batch."""
        squared = self.inner(x, x)
        return math.sqrt(squared.real) if np.ndim(squared) == 0 else np.sqrt(squared.real)

    def zeros(self, batch: tuple[int, ...] = (), *, like: Array | None = None) -> Array:
        """Return the zero vector, or a batch of them, in the library and dtype of `like` (NumPy and the space's)."""
        shape = (*batch, *self.shape)
        return np.zeros(shape, self.dtype) if like is None else arrays.zeros(shape, like)

    @abstractmethod
    def to_coordinates(self, x: Array) -> np.ndarray:
        """Return all coordinates of a vector in one axis.

        Meant for tests, reports and small matrices: every process receives the whole vector.

        Parameters
        ----------
        x : array, shape (*batch, *shape)

        Returns
        -------
        numpy array, shape (*batch, size)
        """

    @abstractmethod
    def from_coordinates(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the vector that has these coordinates: the inverse of `to_coordinates`.

        Parameters
        ----------
        coordinates : numpy array, shape (*batch, size)

        Returns
        -------
        numpy array, shape (*batch, *shape)
        """

    @final
    def basis(self, i: int) -> np.ndarray:
        """Return basis vector `i`: one at coordinate `i`, zero elsewhere."""
        if not 0 <= i < self.size:
            raise SpaceError(f"{self}: basis vector {i} does not exist, the space has {self.size} coordinates")
        coordinates = np.zeros(self.size, self.dtype)
        coordinates[i] = 1
        return self.from_coordinates(coordinates)

    @abstractmethod
    def locate(self, i: int) -> str:
        """Say in words where coordinate `i` lies, for reports."""

    @final
    def integers(self, seed: Seed, batch: tuple[int, ...] = ()) -> np.ndarray:
        """Draw a vector of integers from +-1 .. +-4, never zero (both parts, where complex)."""
        generator = self._generator(seed)

        def draw() -> Any:
            shape = (*batch, *self.shape)
            return generator.integers(1, 5, shape) * generator.choice(np.array([-1, 1]), shape)

        drawn = draw() + 1j * draw() if self.field == "complex" else draw()
        return np.asarray(drawn, dtype=self.dtype)

    @final
    def normal(self, seed: Seed, batch: tuple[int, ...] = ()) -> np.ndarray:
        """Draw a vector of independent standard normal entries."""
        generator = self._generator(seed)
        shape = (*batch, *self.shape)
        drawn = generator.standard_normal(shape)
        if self.field == "complex":
            drawn = drawn + 1j * generator.standard_normal(shape)
        return np.asarray(drawn, dtype=self.dtype)

    def _generator(self, seed: Seed) -> np.random.Generator:
        """Return the source of random numbers for what this process holds."""
        return np.random.default_rng(seed)

    def check(self, x: Array, operator: object = None) -> None:
        """Raise unless `x` is a vector of this space or a batch of them.

        Parameters
        ----------
        x : array
            What is to be checked.
        operator : object, optional
            Who asks; named in the error.

        Raises
        ------
        SpaceError
            Naming the operator, the space, what was expected and what was found.
        """
        fault = self._fault(x)
        if fault is not None:
            raise SpaceError(self._complaint(fault, operator))

    def consistent(self, x: Array) -> bool:  # noqa: ARG002  (a space that stores copies of a vector looks at it)
        """Say whether all stored copies of a vector agree bit by bit, the same answer on every process."""
        return True

    @final
    def _fault(self, x: Array) -> str | None:
        """Return what keeps `x` from being a vector here, in words; None when nothing does."""
        if not arrays.is_array(x):
            return f"expected an array that ends in shape {self.shape}, found {type(x).__name__}"
        shape = tuple(x.shape)
        if len(shape) < self.ndim or shape[len(shape) - self.ndim :] != self.shape:
            return f"expected an array that ends in shape {self.shape}, found shape {shape}"
        found = arrays.kind(x)
        if found == "other" or (found == "complex" and self.field == "real"):
            return f"expected {self.field} entries, found dtype {x.dtype}"
        return None

    @final
    def _complaint(self, fault: str, operator: object) -> str:
        """Return the whole message for a fault."""
        return f"{self}: {fault}" if operator is None else f"{operator!r}: in {self}, {fault}"

    @abstractmethod
    def _key(self) -> tuple[object, ...]:
        """Return what makes two spaces of this class equal."""

    @final
    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and self._key() == other._key())

    @final
    def __hash__(self) -> int:
        return hash((type(self), self._key()))


@final
class Euclidean(Space):
    """Arrays of one shape with the usual dot product, in one process.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of a vector's array.
    dtype : numpy dtype, optional
        A real or complex floating type, float64 by default.

    Examples
    --------
    >>> X = Euclidean((2, 3))
    >>> X.size, X.field
    (6, 'real')
    >>> X.dot(np.ones((2, 3)), np.ones((2, 3)))
    6.0
    """

    def __init__(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> None:
        super().__init__((shape,) if isinstance(shape, int | np.integer) else shape, dtype)

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return math.prod(self.shape)

    def dot(self, x: Array, y: Array) -> Scalar:
        """Return the sum of ``conj(x) * y`` in double precision; see `Space.dot`."""
        result = arrays.to_numpy(arrays.dot(x, y, self.ndim))
        return result.item() if result.ndim == 0 else result

    def to_coordinates(self, x: Array) -> np.ndarray:
        """Return the entries in row-major order; see `Space.to_coordinates`."""
        return arrays.to_numpy(arrays.flatten(x, self.ndim))

    def from_coordinates(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the array with these entries; see `Space.from_coordinates`."""
        return coordinates.reshape((*coordinates.shape[:-1], *self.shape))

    def locate(self, i: int) -> str:
        """Return the index of coordinate `i`."""
        return f"index {tuple(int(k) for k in np.unravel_index(i, self.shape))}"

    def _key(self) -> tuple[object, ...]:
        return (self.shape, self.dtype)

    def __repr__(self) -> str:
        return f"Euclidean({self.shape}, {self.dtype})"


def _checked_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape as a tuple of Python integers; raise where it is none."""
    try:
        found = tuple(operator.index(n) for n in shape)
    except (TypeError, ValueError):
        raise SpaceError(f"a shape is a tuple of integers, found {shape!r}") from None
    if min(found, default=0) < 0:
        raise SpaceError(f"a shape has integers that are zero or more, found {shape!r}")
    return found
