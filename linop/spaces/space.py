"""What a vector space is; its vectors are touched through it only."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn, final

import numpy as np
import numpy.typing as npt
from numpy import ndarray

from linop import arrays, upward
from linop.arguments import Whole, checked
from linop.arrays import Array, Scalar, Vector
from linop.errors import ArgumentError, SpaceError
from linop.keyed import Keyed

SMALL = 2.0**-900
"""Sums of squares below it may have lost some."""

UNIT = 2.0**600
"""In this unit the squares of tiny numbers are normal ones; in its inverse, those of huge numbers are finite."""

Seed = int | tuple[int, ...]
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class Space(Keyed):
    """A finite-dimensional vector space with an inner product. Abstract: see `Euclidean`.

    Vectors are arrays whose last ``ndim`` axes are the space's `shape`; the axes before them are a batch. Precision
    follows the array: a float32 array is a vector of a float64 space. A complex array is no vector of a space of real
    arrays.

    Parameters
    ----------
    shape : tuple of int
        Shape of a vector's array (the part that this process holds).
    dtype : numpy dtype
        A real or complex floating type: the precision of the vectors that the space makes.
    field : {"real", "complex"}, optional
        The field of the scalars: that of the dtype by default. ``"real"`` with a complex dtype makes a real space of
        complex arrays.

    Attributes
    ----------
    weighted : bool
        Whether `inner` differs from `dot`.
    spread : bool
        Whether other processes hold parts of the same vectors.

    Examples
    --------
    >>> from linop import Euclidean, Product, Weighted
    >>> X = Euclidean(3)
    >>> [isinstance(each, Space) for each in (X, Weighted(X, 2.0), Product(X, X))]
    [True, True, True]
    >>> X.zeros(), X.size
    (array([0., 0., 0.]), 3)
    """

    shape: tuple[Any, ...]
    dtype: np.dtype[Any]
    field: str
    weighted: bool = False
    spread: bool = False

    @checked
    def __init__(self, shape: tuple[Whole, ...], dtype: npt.DTypeLike, field: str | None = None) -> None:
        self.shape = tuple(map(int, shape))
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "fc":
            raise ArgumentError(f"{type(self).__name__}: dtype must be real or complex floating, found {self.dtype}")
        natural = "complex" if self.dtype.kind == "c" else "real"
        self.field = natural if field is None else field
        if self.field not in ("real", natural):
            raise ArgumentError(f"{type(self).__name__}: arrays of {self.dtype} make no space over the field {field!r}")

    @property
    @final
    def ndim(self) -> int:
        """Number of axes of a vector."""
        return len(self.shape)

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of coordinates of a vector, over all processes; two for each complex entry of a real space."""

    @property
    def coordinate_dtype(self) -> np.dtype[Any]:
        """Dtype of the coordinates: the space's own, or its real part's in a real space of complex arrays."""
        return np.empty(0, self.dtype).real.dtype if self.field == "real" else self.dtype

    def batch(self, x: Vector) -> tuple[int, ...]:
        """Return the batch axes of a vector."""
        return () if x.shape == self.shape else arrays.split_batch(x, len(self.shape))

    # -- the two pairings ---------------------------------------------------------------------------------------------

    @abstractmethod
    def dot(self, x: Vector, y: Vector) -> Scalar:
        """Pair coordinates: the sum of ``conj(x) * y``, in double precision.

        Parameters
        ----------
        x, y : array, shape ``(*batch, *shape)``
            Two vectors, or two batches of them.

        Returns
        -------
        float or complex, or numpy array of shape batch
            The same on every process.
        """

    @final
    def inner(self, x: Vector, y: Vector) -> Scalar:
        """Return the inner product ``dot(x, R y)`` of two vectors; see `dot`.

        Parameters
        ----------
        x, y : array, shape ``(*batch, *shape)``
            Two vectors, or a batch of pairs.
        """
        return self.dot(x, self._weigh(y)) if self.weighted else self.dot(x, y)

    @final
    def norm(self, x: Vector) -> Any:
        """Return the norm ``sqrt(inner(x, x))``: a float, or one for each vector of a batch.

        Also of numbers whose squares are too small or too large for double precision.
        """
        with np.errstate(over="ignore"):
            squared = self.inner(x, x)
        if np.ndim(squared) == 0 and SMALL <= squared.real < math.inf:
            return math.sqrt(squared.real)
        found = np.asarray(squared).real
        with np.errstate(all="ignore"):
            lengths = np.sqrt(found)
            # Squares were lost: once more, in another unit. All processes decide alike, by the same numbers.
            for lost, unit in ((found < SMALL, UNIT), (found == math.inf, 1 / UNIT)):
                if np.any(lost):
                    scaled = arrays.each(lambda part, unit=unit: arrays.wide(part) * unit, x)
                    again = np.sqrt(np.asarray(self.inner(scaled, scaled)).real) / unit
                    lengths = np.where(lost, again, lengths)
        return lengths.item() if lengths.ndim == 0 else lengths

    @property
    @final
    def riesz(self) -> Any:
        """The Riesz map R, with ``inner(x, y) == dot(x, R y)``; the identity of a space without weights."""
        return upward.riesz(self, inverse=False)

    @property
    @final
    def riesz_inverse(self) -> Any:
        """The inverse of the Riesz map."""
        return upward.riesz(self, inverse=True)

    @property
    def unweighted(self) -> Space:
        """The space of the same vectors whose inner product is `dot`."""
        return self

    def _weigh(self, x: Vector) -> Vector:
        """Return ``R x``, fresh."""
        return arrays.copy(x)

    def _unweigh(self, x: Vector) -> Vector:
        """Return ``R^-1 x``, fresh."""
        return arrays.copy(x)

    def copy(self, x: Vector) -> Vector:
        """Return a fresh vector equal to `x`."""
        return arrays.copy(x)

    @final
    def element(self, x: Vector) -> Any:
        """Return a vector as an `Element`, which adds, multiplies and measures as it is written on paper.

        Parameters
        ----------
        x : vector of the space, or a batch of them
            Not copied.
        """
        return upward.element(self, x)

    # -- making vectors -----------------------------------------------------------------------------------------------

    def zeros(self, batch: tuple[int, ...] = (), *, like: Vector | None = None) -> Vector:
        """Return the zero vector, or a batch of them, in the library and dtype of `like` (NumPy and the space's).

        Of another space's vector (a tuple, where this space has arrays), the first array is taken.

        Parameters
        ----------
        batch : tuple of int, optional
            Shape of a batch of vectors.
        like : vector, optional
            An array of any shape, or a tuple of such.
        """
        shape = (*batch, *self.shape)
        while type(like) is tuple:
            like = like[0]
        if like is None:
            return np.zeros(shape, self.dtype)
        if self.dtype.kind == "f" and arrays.kind(like) == "complex":  # of another space's vector; real arrays here
            return arrays.cast(np.zeros(shape, self.dtype), like)
        return arrays.zeros(shape, like)

    @abstractmethod
    def to_coordinates(self, x: Vector) -> np.ndarray:
        """Return all coordinates of a vector in one axis.

        Meant for tests, reports and small matrices: every process receives the whole vector.

        Parameters
        ----------
        x : array, shape ``(*batch, *shape)``

        Returns
        -------
        numpy array, shape ``(*batch, size)``
        """

    @abstractmethod
    def from_coordinates(self, coordinates: np.ndarray) -> Vector:
        """Return the vector that has these coordinates: the inverse of `to_coordinates`.

        Parameters
        ----------
        coordinates : numpy array, shape ``(*batch, size)``

        Returns
        -------
        numpy array, shape ``(*batch, *shape)``
        """

    def flatten(self, x: Vector) -> Array:  # noqa: ARG002  (spaces in one process do it)
        """Return the coordinates of a vector in one axis, in its own library; of a space in one process only."""
        raise SpaceError(f"{self}: the coordinates do not lie in one process")

    def unflatten(self, coordinates: Array) -> Vector:  # noqa: ARG002  (the same)
        """Return the vector with these coordinates, in their library; of a space in one process only."""
        raise SpaceError(f"{self}: the coordinates do not lie in one process")

    @final
    def basis(self, i: int | None = None) -> Vector:
        """Return basis vector `i`, one at coordinate `i` and zero elsewhere; without `i`, all of them as a batch."""
        if i is None:
            return self.from_coordinates(np.eye(self.size, dtype=self.coordinate_dtype))
        if not 0 <= i < self.size:
            raise SpaceError(f"{self}: basis vector {i} does not exist, the space has {self.size} coordinates")
        coordinates = np.zeros(self.size, self.coordinate_dtype)
        coordinates[i] = 1
        return self.from_coordinates(coordinates)

    @abstractmethod
    def locate(self, i: int) -> str:
        """Say in words where coordinate `i` lies, for reports."""

    def _rank_of(self, i: int) -> int:  # noqa: ARG002
        """Return the process that holds coordinate `i`; the first one counts, of copies of one vector."""
        return 0

    @final
    def integers(self, seed: Seed, batch: tuple[int, ...] = ()) -> Vector:
        """Draw a vector of integers from +-1 .. +-4, never zero (both parts, where complex).

        Parameters
        ----------
        seed : int or tuple of int
            The same seed draws the same vector.
        batch : tuple of int, optional
            Shape of a batch of vectors.
        """
        return self._sample(seed, batch, _draw_integers)

    @final
    def normal(self, seed: Seed, batch: tuple[int, ...] = ()) -> Vector:
        """Draw a vector of independent standard normal entries.

        Parameters
        ----------
        seed : int or tuple of int
            The same seed draws the same vector.
        batch : tuple of int, optional
            Shape of a batch of vectors.
        """
        return self._sample(seed, batch, _draw_normal)

    def positions(self) -> Vector:
        """Return for each entry of a vector its place in row-major order; of a spread vector, in the whole of it.

        Whatever is computed from these numbers does not depend on how a vector is spread over processes.

        Returns
        -------
        numpy array of integers, shape `shape`
            For a product, a tuple of them. Entries that belong to nothing have -1.
        """
        return np.arange(math.prod(self.shape)).reshape(self.shape)

    def _sample(self, seed: Seed, batch: tuple[int, ...], draw: Draw) -> Vector:
        """Draw a vector with independent real and imaginary parts."""
        generator = self._generator(seed)
        shape = (*batch, *self.shape)
        drawn = draw(generator, shape)
        if self.dtype.kind == "c":
            drawn = drawn + 1j * draw(generator, shape)
        return np.asarray(drawn, dtype=self.dtype)

    def _generator(self, seed: Seed) -> np.random.Generator:
        """Return the source of random numbers for what this process holds."""
        return np.random.default_rng(seed)

    # -- what belongs here --------------------------------------------------------------------------------------------

    def check(self, x: Vector, operator: object = None) -> None:
        """Raise unless `x` is a vector of this space or a batch of them.

        Parameters
        ----------
        x : array, any shape
            What is to be checked.
        operator : object, optional
            Who asks; named in the error.

        Raises
        ------
        SpaceError
            Naming the operator, the space, what was expected and what was found.
        """
        if type(x) is ndarray and x.dtype is self.dtype and x.shape == self.shape:
            return
        fault = self._fault(x)
        if fault is not None:
            self._refuse(SpaceError(self._complaint(fault, operator)))

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise an error; a space over several processes lets all of them raise."""
        raise error

    def agree(self, what: str, value: object) -> None:
        """Raise, on all processes, unless `value` is the same on all of them; collective where there are several.

        Parameters
        ----------
        what : str
            Whose value it is, for the error.
        value : object
            Numbers, texts and tuples of such.
        """

    def consistent(self, x: Vector) -> bool:  # noqa: ARG002  (a space that stores copies of a vector looks at it)
        """Say whether all stored copies of a vector agree bit by bit, the same answer on every process."""
        return True

    def _fault(self, x: Vector) -> str | None:
        """Return what keeps `x` from being a vector here, in words; None when nothing does."""
        if not arrays.is_array(x):
            return f"expected an array that ends in shape {self.shape}, found {type(x).__name__}"
        shape = tuple(x.shape)
        if len(shape) < self.ndim or shape[len(shape) - self.ndim :] != self.shape:
            return f"expected an array that ends in shape {self.shape}, found shape {shape}"
        found = arrays.kind(x)
        if found == "other" or (found == "complex" and self.dtype.kind != "c"):
            return f"expected {self.field} entries, found dtype {x.dtype}"
        return None

    @final
    def _complaint(self, fault: str, operator: object) -> str:
        """Return the whole message for a fault."""
        return f"{self}: {fault}" if operator is None else f"{operator!r}: in {self}, {fault}"


def _draw_integers(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    drawn: np.ndarray = generator.integers(1, 5, shape) * generator.choice(np.array([-1, 1]), shape)
    return drawn


def _draw_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_normal(shape)
