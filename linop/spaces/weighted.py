r"""A space with another inner product.

``inner(x, y) = dot(x, R y)`` with weights R: quadrature weights, noise covariances, mass matrices. Coordinates and
`dot` stay as they are.
"""

from __future__ import annotations

from typing import Any, NoReturn, final

import numpy as np

from linop import arrays, upward
from linop.arguments import show
from linop.arrays import Array, Scalar, Vector
from linop.errors import ArgumentTypeError, SpaceError
from linop.spaces.space import Draw, Seed, Space


@final
class Weighted(Space):
    """A space with another inner product: ``inner(x, y) = dot(x, R y)``.

    Parameters
    ----------
    space : Space
        A space without weights: its vectors, and its `dot`.
    weight : float, array or LinearOperator
        The Riesz map R: a positive number, an array of positive numbers that broadcasts to the shape of a vector (the
        part that this process holds), or an operator from `space` to itself that is self-adjoint and positive.
        `linop.check_space` verifies what cannot be seen here.

    Attributes
    ----------
    weight : float, array or LinearOperator
        As given; the shape of an array is that of a vector, or broadcasts to it.
    inverse_weight : LinearOperator or None
        The inverse of an operator.

    Raises
    ------
    SpaceError
        When the weight is not finite and positive, of another shape, or no map of `space` to itself; on all processes
        that share the space.
    AgreementError
        When these pass different weights: numbers, or arrays for copies of the same entries.

    Examples
    --------
    >>> from linop import Euclidean, Weighted
    >>> X = Weighted(Euclidean(3), [1.0, 2.0, 3.0])
    >>> X.inner(np.ones(3), np.ones(3)), X.dot(np.ones(3), np.ones(3))
    (6.0, 3.0)
    """

    weighted = True

    def __init__(self, space: Space, weight: Any) -> None:
        if not isinstance(space, Space):
            raise ArgumentTypeError(f"Weighted: expected space to be a Space, found {show(space)}")
        if space.weighted:
            raise SpaceError(f"Weighted: {space} has weights already")
        self.space = space
        self.shape, self.dtype, self.field, self.spread = space.shape, space.dtype, space.field, space.spread
        self.weight: Any = weight
        mapped = (getattr(weight, "domain", space), getattr(weight, "codomain", space))
        if mapped != (space, space):
            space._refuse(SpaceError(f"Weighted {space}: the weight must map this space to itself, found {weight!r}"))
        self.inverse_weight: Any = upward.inverse_weight(weight)
        if self.inverse_weight is None:  # no operator
            self.weight = _checked_weight(space, weight)
        kind = "an array" if isinstance(self.weight, np.ndarray) else "an operator"
        space.agree("Weighted", self.weight if isinstance(self.weight, float) else kind)
        if isinstance(self.weight, np.ndarray) and not space.consistent(self.weight):
            space.agree(f"Weighted {space}: weights of copies", self.weight)

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return self.space.size

    @property
    def coordinate_dtype(self) -> np.dtype[Any]:
        """Dtype of the coordinates."""
        return self.space.coordinate_dtype

    @property
    def unweighted(self) -> Space:
        """The space without the weights."""
        return self.space

    def batch(self, x: Vector) -> tuple[int, ...]:
        """Return the batch axes of a vector."""
        return self.space.batch(x)

    def dot(self, x: Vector, y: Vector) -> Scalar:
        """Pair coordinates, without the weights; see `Space.dot`."""
        return self.space.dot(x, y)

    def _weigh(self, x: Vector) -> Vector:
        if isinstance(self.weight, float):
            return arrays.scale(self.weight, x)
        if isinstance(self.weight, np.ndarray):
            return x * arrays.match(self.weight, like=x)
        return self.weight._apply(x)

    def _unweigh(self, x: Vector) -> Vector:
        if isinstance(self.weight, float):
            return arrays.scale(1 / self.weight, x)
        if isinstance(self.weight, np.ndarray):
            return x / arrays.match(self.weight, like=x)
        return self.inverse_weight._apply(x)

    def zeros(self, batch: tuple[int, ...] = (), *, like: Vector | None = None) -> Vector:
        """Return the zero vector; see `Space.zeros`."""
        return self.space.zeros(batch, like=like)

    def to_coordinates(self, x: Vector) -> np.ndarray:
        """Return the coordinates, which the weights do not change."""
        return self.space.to_coordinates(x)

    def from_coordinates(self, coordinates: np.ndarray) -> Vector:
        """Return the vector with these coordinates."""
        return self.space.from_coordinates(coordinates)

    def flatten(self, x: Vector) -> Array:
        """Return the coordinates in the library of `x`."""
        return self.space.flatten(x)

    def unflatten(self, coordinates: Array) -> Vector:
        """Return the vector with these coordinates, in their library."""
        return self.space.unflatten(coordinates)

    def locate(self, i: int) -> str:
        """Say where coordinate `i` lies."""
        return self.space.locate(i)

    def _rank_of(self, i: int) -> int:
        return self.space._rank_of(i)

    def _fault(self, x: Vector) -> str | None:
        """Return what keeps `x` from being a vector; see `Space.check`."""
        return self.space._fault(x)

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise an error, as the space without weights does."""
        self.space._refuse(error)

    def agree(self, what: str, value: object) -> None:
        """Raise unless a value is the same on all processes."""
        self.space.agree(what, value)

    def consistent(self, x: Vector) -> bool:
        """Say whether all stored copies of a vector agree."""
        return self.space.consistent(x)

    def positions(self) -> Vector:
        """Return the places of the entries; see `Space.positions`."""
        return self.space.positions()

    def _sample(self, seed: Seed, batch: tuple[int, ...], draw: Draw) -> Vector:
        return self.space._sample(seed, batch, draw)

    def _key(self) -> tuple[object, ...]:
        if isinstance(self.weight, np.ndarray):
            return (self.space, self.weight.tobytes())
        return (self.space, self.weight)

    def __repr__(self) -> str:
        weight = self.weight
        if isinstance(weight, np.ndarray):
            span = f"array of {weight.dtype} in [{weight.min():g}, {weight.max():g}]" if weight.size > 6 else ""
            return f"Weighted({self.space}, {span or weight.tolist()})"
        return f"Weighted({self.space}, {weight})"


def _checked_weight(space: Space, weight: Any) -> float | np.ndarray:
    """Return a weight as a float or an array of the space's shape; raise, on every process, where it is none."""
    fault = None
    try:
        found = np.asarray(weight)
    except ValueError as error:
        space._refuse(SpaceError(f"Weighted {space}: expected real weights; {error}"))
    if any(isinstance(extent, tuple) for extent in space.shape) and found.ndim > 0:
        fault = "give weights to the parts of a product, or an operator"
    elif found.dtype.kind not in "fiu":
        fault = f"expected real weights, found {weight!r}"
    elif found.ndim == 0 and not (np.isfinite(found) and found > 0):
        fault = f"the weight must be finite and positive, found {weight!r}"
    if fault is not None:
        space._refuse(SpaceError(f"Weighted {space}: {fault}"))
    if found.ndim == 0:
        return float(found)
    real = np.empty(0, space.dtype).real.dtype
    try:
        array = np.broadcast_to(found.astype(real), space.shape).copy()
    except ValueError:
        array = found.astype(real)
    space.check(array)
    bad = ~(np.isfinite(array) & (array > 0))
    if np.any(bad):
        space._refuse(
            SpaceError(f"Weighted {space}: weights must be finite and positive, found {array[bad][:3].tolist()}")
        )
    array.flags.writeable = False
    return array
