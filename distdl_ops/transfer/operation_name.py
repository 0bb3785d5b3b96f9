"""What an operation calls itself to other ranks: its operator, and the batch and dtype of what it is applied to."""

from __future__ import annotations

from typing import Any, final

from numpy import ndarray

from distdl_ops.worlds.buffers import dtype_name
from linop import arrays
from linop.arrays import Array


@final
class OperationName:
    """The names of an operator's applications; see `distdl_ops.worlds.World`.

    Parameters
    ----------
    operator : str
        What it is, with its spaces.
    ndim : int
        Number of axes of its domain.

    Examples
    --------
    >>> import numpy as np
    >>> OperationName("Broadcast(rows)", 1).of(np.zeros((8, 3)))
    'Broadcast(rows), applied to a batch (8,) of float64'
    """

    def __init__(self, operator: str, ndim: int) -> None:
        self._operator, self._ndim = operator, ndim
        self._known: dict[Any, str] = {}

    def of(self, x: Array) -> str:
        """Return the name of the application to a vector."""
        key = x.shape[: x.ndim - self._ndim], x.dtype if type(x) is ndarray else str(x.dtype)
        name = self._known.get(key)
        if name is None:
            batch = arrays.split_batch(x, self._ndim)
            name = f"{self._operator}, applied to a batch {batch} of {dtype_name(x)}"
            if len(self._known) == MOST_KNOWN:
                self._known.clear()
            self._known[key] = name
        return name


MOST_KNOWN = 64
"""How many names are kept."""
