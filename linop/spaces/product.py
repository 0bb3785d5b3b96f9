"""The tuples of vectors of several spaces: their direct sum."""

from __future__ import annotations

import itertools
from typing import Any, NoReturn, final

import numpy as np

from linop import arrays
from linop.arguments import checked
from linop.arrays import Array, Scalar, Vector
from linop.errors import SpaceError
from linop.spaces.space import Draw, Seed, Space


@final
class Product(Space):
    """The tuples of vectors of several spaces; the pairing is the sum of theirs.

    Parameters
    ----------
    *parts : Space
        One or more spaces over the same field, products and weighted ones among them.

    Raises
    ------
    SpaceError
        When there are no parts, or some are real and some complex.

    Examples
    --------
    >>> from linop import Euclidean, Weighted
    >>> X = Product(Euclidean(2), Weighted(Euclidean(3), 2.0))
    >>> x = (np.ones(2), np.ones(3))
    >>> X.size, X.dot(x, x), X.inner(x, x)
    (5, 5.0, 8.0)
    """

    @checked
    def __init__(self, *parts: Space) -> None:
        if not parts or not all(isinstance(part, Space) for part in parts):
            raise SpaceError(f"Product: expected one or more spaces, found {parts}")
        if len({part.field for part in parts}) > 1:
            raise SpaceError(f"Product: expected spaces over one field, found {parts}")
        self.parts = parts
        self.shape = tuple(part.shape for part in parts)
        self.dtype = np.result_type(*(part.dtype for part in parts))
        if any(part.dtype.kind == "f" for part in parts):  # a complex number times such a tuple is no tuple of them
            self.dtype = np.empty(0, self.dtype).real.dtype
        self.field = parts[0].field
        self.weighted = any(part.weighted for part in parts)
        self.spread = any(part.spread for part in parts)

    @property
    def size(self) -> int:
        """Number of coordinates of all parts."""
        return sum(part.size for part in self.parts)

    @property
    def coordinate_dtype(self) -> np.dtype[Any]:
        """The parts' coordinates', the most precise one."""
        return np.result_type(*(part.coordinate_dtype for part in self.parts))

    @property
    def unweighted(self) -> Space:
        """The product of the parts without their weights."""
        return Product(*(part.unweighted for part in self.parts)) if self.weighted else self

    def batch(self, x: Vector) -> tuple[int, ...]:
        """Return the batch axes of a vector: those of its first part."""
        return self.parts[0].batch(x[0])

    def dot(self, x: Vector, y: Vector) -> Scalar:
        """Return the sum of the parts' pairings; see `Space.dot`."""
        return sum(part.dot(a, b) for part, a, b in zip(self.parts, x, y, strict=True))

    def copy(self, x: Vector) -> Vector:
        """Return a fresh tuple equal to `x`."""
        return tuple(part.copy(a) for part, a in zip(self.parts, x, strict=True))

    def _weigh(self, x: Vector) -> Vector:
        return tuple(part._weigh(a) for part, a in zip(self.parts, x, strict=True))

    def _unweigh(self, x: Vector) -> Vector:
        return tuple(part._unweigh(a) for part, a in zip(self.parts, x, strict=True))

    def zeros(self, batch: tuple[int, ...] = (), *, like: Vector | None = None) -> Vector:
        """Return the zero vector; see `Space.zeros`."""
        return tuple(part.zeros(batch, like=like) for part in self.parts)

    def to_coordinates(self, x: Vector) -> np.ndarray:
        """Return the coordinates, part after part."""
        return np.concatenate([part.to_coordinates(a) for part, a in zip(self.parts, x, strict=True)], axis=-1)

    def from_coordinates(self, coordinates: np.ndarray) -> Vector:
        """Return the tuple with these coordinates."""
        return tuple(
            part.from_coordinates(coordinates[..., start:stop].astype(part.coordinate_dtype))
            for part, (start, stop) in zip(self.parts, self._intervals(), strict=True)
        )

    def flatten(self, x: Vector) -> Array:
        """Return the coordinates in the library of `x`, part after part."""
        flat = [part.flatten(a) for part, a in zip(self.parts, x, strict=True)]
        return arrays.namespace(flat[0]).concat(flat, axis=-1)

    def unflatten(self, coordinates: Array) -> Vector:
        """Return the tuple with these coordinates, in their library; each part has memory of its own."""
        return tuple(
            part.unflatten(arrays.copy(coordinates[..., start:stop]))
            for part, (start, stop) in zip(self.parts, self._intervals(), strict=True)
        )

    def _intervals(self) -> list[tuple[int, int]]:
        """Return where the coordinates of each part lie."""
        return list(itertools.pairwise(itertools.accumulate((part.size for part in self.parts), initial=0)))

    def locate(self, i: int) -> str:
        """Return the part, and where in it coordinate `i` lies."""
        for k, (start, stop) in enumerate(self._intervals()):
            if start <= i < stop:
                return f"part {k}, {self.parts[k].locate(i - start)}"
        raise SpaceError(f"{self}: coordinate {i} does not exist")

    def _rank_of(self, i: int) -> int:
        for k, (start, stop) in enumerate(self._intervals()):
            if start <= i < stop:
                return self.parts[k]._rank_of(i - start)
        raise SpaceError(f"{self}: coordinate {i} does not exist")

    def _fault(self, x: Vector) -> str | None:
        """Return what keeps `x` from being a tuple of vectors of the parts, with the same batch; see `Space.check`."""
        if type(x) is not tuple or len(x) != len(self.parts):
            found = f"{len(x)} vectors" if type(x) is tuple else type(x).__name__
            return f"expected a tuple of {len(self.parts)} vectors, found {found}"
        for k, (part, vector) in enumerate(zip(self.parts, x, strict=True)):
            fault = part._fault(vector)
            if fault is not None:
                return f"part {k}: {fault}"
        batches = [part.batch(vector) for part, vector in zip(self.parts, x, strict=True)]
        if any(batch != batches[0] for batch in batches):
            return f"expected the same batch axes in every part, found {batches}"
        return None

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise an error, on all processes that hold a part."""
        next((part for part in self.parts if part.spread), self.parts[0])._refuse(error)

    def agree(self, what: str, value: object) -> None:
        """Raise unless a value is the same on all processes that hold a part."""
        next((part for part in self.parts if part.spread), self.parts[0]).agree(what, value)

    def consistent(self, x: Vector) -> bool:
        """Say whether all stored copies of every part agree."""
        verdicts = [part.consistent(vector) for part, vector in zip(self.parts, x, strict=True)]  # collective: ask all
        return all(verdicts)

    def positions(self) -> Vector:
        """Return the places of the entries of each part in it; see `Space.positions`."""
        return tuple(part.positions() for part in self.parts)

    def _sample(self, seed: Seed, batch: tuple[int, ...], draw: Draw) -> Vector:
        seeds = seed if isinstance(seed, tuple) else (seed,)
        return tuple(part._sample((*seeds, k), batch, draw) for k, part in enumerate(self.parts))

    def _key(self) -> tuple[object, ...]:
        return self.parts

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.parts))})"
