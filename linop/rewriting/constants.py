"""The constants of operators that hold an array of them, so that multiples and sums of such are one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from linop.core.operator import LinearOperator


@dataclass(frozen=True)
class Constants:
    """The constants of an operator, which depends on them linearly.

    Parameters
    ----------
    kind : type
        The class of operators with such constants: those of one kind add up.
    entries : numpy array, of a shape that broadcasts to that of the others of this kind
        The constants.
    made : function
        From other constants to the operator that has them, between the same spaces.
    """

    kind: type
    entries: np.ndarray
    made: Callable[[np.ndarray], LinearOperator]


@singledispatch
def constants(operator: LinearOperator) -> Constants | None:  # noqa: ARG001
    """Return the constants of an operator; None where it has none. Its class registers.

    Examples
    --------
    >>> from linop import Diagonal
    >>> known = constants(Diagonal([1.0, 2.0]))
    >>> known.made(3 * known.entries)
    Diagonal([3.0, 6.0]) : Euclidean((2,), float64) -> Euclidean((2,), float64)
    """
    return None
