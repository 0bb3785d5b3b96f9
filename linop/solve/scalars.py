"""The scalars of a recurrence: floats for one right-hand side, and for a batch arrays with one number for each.

A recurrence that divides by `ratio` goes on with the right-hand sides that are not solved yet: where a residual is
zero, so are the direction, the step along it, and both parts of the ratio that gives the step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Number = Any
"""A float or complex number, or a NumPy array of them, of the shape of a batch."""


def sqrt(x: Number) -> Number:
    """Return the square root.

    Examples
    --------
    >>> sqrt(4.0), sqrt(np.array([4.0, 9.0])).tolist()
    (2.0, [2.0, 3.0])
    """
    return math.sqrt(x) if type(x) is float else np.sqrt(x)


def hypot(*parts: Number) -> Number:
    """Return ``sqrt(a^2 + b^2 + ...)``, without overflow on the way.

    Examples
    --------
    >>> hypot(3.0, 4.0), hypot(np.array([3.0, 0.0]), 4.0).tolist()
    (5.0, [5.0, 4.0])
    """
    if all(type(part) is float for part in parts):
        return math.hypot(*parts)
    total = parts[0]
    for part in parts[1:]:
        total = np.hypot(total, part)
    return total


def ratio(a: Number, b: Number) -> Number:
    """Return ``a / b``, and zero where b is zero.

    Examples
    --------
    >>> ratio(1.0, 4.0), ratio(1.0, 0.0), ratio(1.0, np.array([4.0, 0.0])).tolist()
    (0.25, 0.0, [0.25, 0.0])
    """
    if not isinstance(b, np.ndarray) and not isinstance(a, np.ndarray):
        return a / b if b else 0.0
    nonzero = np.asarray(b != 0)
    return np.where(nonzero, a / np.where(nonzero, b, 1.0), 0.0)


def largest(a: Number, b: Number) -> Number:
    """Return the larger number, one by one.

    Examples
    --------
    >>> largest(1.0, 2.0), largest(1.0, np.array([0.0, 2.0])).tolist()
    (2.0, [1.0, 2.0])
    """
    return np.maximum(a, b) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else max(a, b)


def isfinite(x: Number) -> Any:
    """Say of each number whether it is finite.

    Examples
    --------
    >>> isfinite(1.0), isfinite(np.array([1.0, np.inf])).tolist()
    (True, [True, False])
    """
    return math.isfinite(x) if type(x) is float else np.isfinite(x)


def every(condition: Any) -> bool:
    """Say whether a condition holds for every right-hand side.

    Examples
    --------
    >>> every(True), every(np.array([True, False]))
    (True, False)
    """
    return condition if condition.__class__ is bool else bool(np.all(condition))


def some(condition: Any) -> bool:
    """Say whether a condition holds for one right-hand side or more.

    Examples
    --------
    >>> some(False), some(np.array([True, False]))
    (False, True)
    """
    return condition if condition.__class__ is bool else bool(np.any(condition))


def broken(zero: Any, live: Any) -> bool:
    """Say whether a recurrence has to stop, as it would divide by zero.

    One right-hand side stops there. Of several, those that are solved may stand still, while others go on.

    Parameters
    ----------
    zero : bool or array of bool
        Where there is a zero.
    live : bool or array of bool
        Which right-hand sides are not solved.

    Examples
    --------
    >>> broken(True, False), broken(np.array([True, False]), np.array([False, True]))
    (True, False)
    """
    return bool(np.any(zero & live) or np.all(zero)) if isinstance(zero, np.ndarray) else bool(zero)
