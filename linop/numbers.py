"""Products of numbers that lose nothing: rewriting must not change a map where they would over- or underflow."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from linop.arrays import Scalar
from linop.spaces import Space


@functools.cache
def _range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the smallest and the largest number that a dtype has in full precision."""
    info = np.finfo(dtype)
    return float(info.smallest_normal), float(info.max)


def product(left: Scalar, right: Scalar, space: Space) -> Scalar | None:
    """Return the product of two numbers; None where the precision of a space's vectors cannot hold it.

    Examples
    --------
    >>> from linop import Euclidean
    >>> product(1e200, 2, Euclidean(1)), product(1e200, 1e200, Euclidean(1)), product(0, 1e-200, Euclidean(1))
    (2e+200, None, 0.0)
    >>> product(1e30, 1e20, Euclidean(1)), product(1e30, 1e20, Euclidean(1, "float32"))
    (1e+50, None)
    """
    left, right = _plain(left), _plain(right)
    found = left * right
    smallest, largest = _range(space.dtype)
    if smallest <= max(abs(found.real), abs(found.imag)) <= largest or left == 0 or right == 0:
        return found
    return None


def _plain(number: Scalar) -> float | complex:
    """Return a number of Python's, whose products do not warn."""
    return complex(number) if isinstance(number, complex | np.complexfloating) else float(number)


def products(left: Scalar | np.ndarray, right: np.ndarray, space: Space) -> np.ndarray | None:
    """Return the products of numbers with numbers, entry by entry; None where the space cannot hold one of them.

    Examples
    --------
    >>> from linop import Euclidean
    >>> products(2.0, np.array([1e200, 0.0]), Euclidean(2)), products(1e200, np.array([1e200, 0.0]), Euclidean(2))
    (array([2.e+200, 0.e+000]), None)
    """
    smallest, largest = _range(space.dtype)
    with np.errstate(all="ignore"):
        found = np.asarray(left * right)
        sizes = np.maximum(np.abs(found.real), np.abs(found.imag))
        kept = ((sizes >= smallest) & (sizes <= largest)) | (left == 0) | (right == 0)
    return found if np.all(kept) else None


def matrix_product(left: np.ndarray, right: np.ndarray, space: Space) -> np.ndarray | None:
    """Return the product of two matrices; None where a term of a sum in it might over- or underflow.

    Examples
    --------
    >>> from linop import Euclidean
    >>> a = np.array([[1e200, 1.0], [0.0, 1.0]])
    >>> matrix_product(a, np.eye(2), Euclidean(2)).tolist(), matrix_product(a, a, Euclidean(2))
    ([[1e+200, 1.0], [0.0, 1.0]], None)
    """
    smallest, largest = _range(space.dtype)
    (low, high), (lowest, highest) = _sizes(left), _sizes(right)
    if high and highest and not (low * lowest >= smallest and 2 * left.shape[1] * high * highest <= largest):
        return None
    return np.asarray(left @ right)


def _sizes(entries: np.ndarray) -> tuple[float, float]:
    """Return the sizes of the smallest part of an entry that is not zero, and of the largest; zeros without any."""
    parts = (entries.real, entries.imag) if entries.dtype.kind == "c" else (entries,)
    sizes = np.abs(np.concatenate([part.ravel() for part in parts]))
    sizes = sizes[sizes > 0]
    return (float(sizes.min()), float(sizes.max())) if sizes.size else (0.0, 0.0)


def is_moderate(scalar: Scalar, space: Space) -> bool:
    """Say whether a number may change places with others: it is no further from one than the root of a space's range.

    Examples
    --------
    >>> from linop import Euclidean
    >>> is_moderate(1e100, Euclidean(1)), is_moderate(1e-200, Euclidean(1)), is_moderate(0.0, Euclidean(1))
    (True, False, True)
    """
    smallest, largest = _range(space.dtype)
    size = max(abs(scalar.real), abs(scalar.imag))
    return bool(size == 0 or math.sqrt(smallest) <= size <= math.sqrt(largest))


def gain_of(gains: list[float | None]) -> float | None:
    """Return the product of bounds; None where one of them is not known, or the product over- or underflows.

    Examples
    --------
    >>> gain_of([2.0, 3.0]), gain_of([2.0, None]), gain_of([1e200, 1e200])
    (6.0, None, None)
    """
    found = 1.0
    for gain in gains:
        if gain is None:
            return None
        if gain == 0:
            return 0.0
        found *= gain
        if not np.finfo(float).smallest_normal <= found < math.inf:
            return None
    return found


def root_of_squares(gains: list[float | None]) -> float | None:
    """Return the root of the sum of the squares of bounds; None where one is not known, or the sum overflows.

    Examples
    --------
    >>> root_of_squares([3.0, 4.0]), root_of_squares([3.0, None])
    (5.0, None)
    """
    found = math.inf if None in gains else math.hypot(*(gain for gain in gains if gain is not None))
    return found if math.isfinite(found) else None
