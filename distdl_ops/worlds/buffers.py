"""Buffers: which entries cross between ranks, and where they lie in host memory.

=========================================  =========================  ==========================================
entries                                    are moved                  are summed
=========================================  =========================  ==========================================
float32, float64, complex64, complex128    as they lie in memory      in their own arithmetic
integers of 8, 16, 32 and 64 bits          the same                   the same; what overflows wraps
float16, bfloat16                          the same                   in single precision, and rounded once
anything else                              refused                    refused
=========================================  =========================  ==========================================

NumPy's arrays, and others in host memory, lend their own memory. Arrays on a device go through a copy in host memory.
Other byte orders than the machine's are refused.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

from linop import arrays
from linop.arrays import Array

ITEMSIZE = {
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
    **{f"{sign}int{width}": width // 8 for sign in ("", "u") for width in (8, 16, 32, 64)},
}
"""Bytes of an entry, by dtype: all that may cross between ranks."""

HALF = ("float16", "bfloat16")
"""Summed in single precision."""

_NUMPYS = frozenset(np.dtype(name) for name in ITEMSIZE if name != "bfloat16")
"""Those that NumPy has."""


Land = Callable[[], None] | None
"""Brings what memory holds now to the buffer that it stands for; None where it is the buffer's own."""

Lent = tuple[Any, Land]
"""Entries in row-major order: in host memory, an array of NumPy."""


def dtype_name(x: Array) -> str:
    """Return what the dtype of an array is called in every library."""
    return _numpys_name(x.dtype) if type(x) is np.ndarray else str(x.dtype).rpartition(".")[2]


@functools.lru_cache(maxsize=256)
def _numpys_name(dtype: np.dtype[Any]) -> str:
    return str(dtype)  # slow


def nbytes(x: Array) -> int:
    """Return how many bytes the entries of an array take."""
    size: int = math.prod(x.shape)
    return size * ITEMSIZE[dtype_name(x)]


def require_dtype(x: Array) -> None:
    """Raise a TypeError unless entries like those of an array can cross between ranks."""
    if dtype_name(x) not in ITEMSIZE:
        raise TypeError(f"expected entries of one of {', '.join(ITEMSIZE)}, found dtype {x.dtype}")


def bits(buffer: Array, memory: Callable[[Array], Lent] | None = None) -> Lent:
    """Return the memory of the entries of a buffer, to be moved byte by byte.

    Parameters
    ----------
    buffer : array
        In row-major order.
    memory : callable, optional
        Finds the memory of a buffer; by default, in the host's.

    Raises
    ------
    TypeError
        When such entries cannot cross between ranks.
    ValueError
        When the buffer is in another order.
    """
    if type(buffer) is np.ndarray and buffer.dtype in _NUMPYS and buffer.flags.c_contiguous:
        return buffer, None
    require_dtype(buffer)
    return (memory or hosted)(buffer)


def addends(buffer: Array, memory: Callable[[Array], Lent] | None = None) -> Lent:
    """Return the entries of a buffer as numbers to be summed: half precision as single; see `bits`."""
    if dtype_name(buffer) not in HALF:
        return bits(buffer, memory)
    xp = arrays.namespace(buffer)
    wide = xp.astype(buffer, xp.float32)
    lent, back = (memory or hosted)(wide)

    def land() -> None:
        if back is not None:
            back()
        buffer[...] = xp.astype(wide, buffer.dtype)

    return lent, land


def hosted(buffer: Array) -> Lent:
    """Return a buffer's memory; of one that lies on a device, a copy."""
    memory = _shared_memory(buffer)
    land: Land = None
    if memory is None:
        xp, device = arrays.namespace(buffer), array_api_compat.device(buffer)
        staged = array_api_compat.to_device(buffer, "cpu")
        memory = _shared_memory(staged)
        if memory is None:
            raise TypeError(f"{type(buffer).__name__} on {device} gives no access to its entries")
        warnings.warn(  # from one place and in the same words, so that Python says it once in a process
            f"arrays on {device} go through host memory on their way between ranks", RuntimeWarning, stacklevel=1
        )

        def bring_back() -> None:
            buffer[...] = xp.asarray(staged, device=device)

        land = bring_back

    if not memory.flags.c_contiguous:
        raise ValueError(f"a buffer must be in row-major order, found strides {memory.strides}")
    return memory, land


def _shared_memory(buffer: Array) -> np.ndarray | None:
    """Return the memory of an array itself, never a copy; None where it is not the host's.

    NumPy has no bfloat16: such entries are seen as integers of the same width.
    """
    if isinstance(buffer, np.ndarray):
        return buffer
    if dtype_name(buffer) == "bfloat16":
        buffer = buffer.view(arrays.namespace(buffer).int16)
    try:
        return np.from_dlpack(buffer, copy=False)
    except (BufferError, RuntimeError, TypeError):
        return None
