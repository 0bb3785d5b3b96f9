"""How a vector becomes one axis of numbers, which is all that other libraries' operators know.

Two numberings differ on real spaces of complex arrays. *Coordinates* are those of `Space.to_coordinates`, two real ones
for each complex entry; every linear map has a matrix in them. *Entries* are the complex numbers themselves, on which a
map may be linear over the real numbers only; PyLops has such operators.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from linop import arrays
from linop.arrays import Vector
from linop.spaces import Euclidean, Space

Numbering = Literal["coordinates", "entries"]


def counted(space: Space, numbering: Numbering) -> int:
    """Return how many numbers a vector has."""
    return math.prod(space.shape) if _plain(space, numbering) else space.size


def dtype(space: Space, numbering: Numbering) -> np.dtype[Any]:
    """Return the dtype of the numbers."""
    return space.dtype if _plain(space, numbering) else space.coordinate_dtype


def numbers(space: Space, x: Vector, numbering: Numbering) -> np.ndarray:
    """Return the numbers of a vector, shape (*batch, counted); collective on a space that is spread over processes."""
    return arrays.to_numpy(arrays.flatten(x, space.ndim)) if _plain(space, numbering) else space.to_coordinates(x)


def vector(space: Space, found: np.ndarray, numbering: Numbering) -> Vector:
    """Return the vector that has these numbers; it may share their memory."""
    if _plain(space, numbering):
        return found.reshape((*found.shape[:-1], *space.shape))
    return space.from_coordinates(found)


def _plain(space: Space, numbering: Numbering) -> bool:
    return numbering == "entries" and isinstance(space.unweighted, Euclidean)
