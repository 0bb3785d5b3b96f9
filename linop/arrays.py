"""The few array functions that the algebra needs, for arrays of any array API library.

Vectors stay in the library, on the device and in the precision they came in.
"""

from __future__ import annotations

import math
from typing import Any

import array_api_compat
import numpy as np

Array = Any
"""An array of the array API standard: `numpy.ndarray`, `torch.Tensor`, ..."""

Scalar = Any
"""A Python or NumPy number, real or complex."""


def namespace(x: Array) -> Any:
    """Return the array API namespace of an array.

    Raises
    ------
    TypeError
        When `x` is not an array of the array API standard.
    """
    return array_api_compat.array_namespace(x)


def is_array(x: object) -> bool:
    """Say whether `x` is an array of the array API standard."""
    return bool(array_api_compat.is_array_api_obj(x))


def kind(x: Array) -> str:
    """Return ``"complex"``, ``"real"`` (integers among them) or ``"other"``: what the entries of an array are."""
    xp = namespace(x)
    if xp.isdtype(x.dtype, "complex floating"):
        return "complex"
    return "real" if xp.isdtype(x.dtype, ("real floating", "integral")) else "other"


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Return zeros in the library, dtype and device of `like`."""
    return namespace(like).zeros(shape, dtype=like.dtype, device=array_api_compat.device(like))


def empty(shape: tuple[int, ...], like: Array) -> Array:
    """Return an uninitialised array in the library, dtype and device of `like`."""
    return namespace(like).empty(shape, dtype=like.dtype, device=array_api_compat.device(like))


def copy(x: Array) -> Array:
    """Return a fresh array in row-major order with the entries of `x`."""
    y = empty(tuple(x.shape), like=x)
    y[...] = x
    return y


def match(constant: np.ndarray, like: Array) -> Array:
    """Bring an operator's constant to the library, device and precision of a vector.

    The field is the constant's or the vector's, whichever is larger: a complex constant stays complex.
    """
    xp = namespace(like)
    if xp is array_api_compat.array_namespace(constant):
        found = constant
    else:
        found = xp.asarray(constant, device=array_api_compat.device(like), copy=True)
    if xp.isdtype(like.dtype, "integral") or (np.iscomplexobj(constant) and kind(like) == "real"):
        return found
    return xp.astype(found, like.dtype, copy=False)


def split_batch(x: Array, ndim: int) -> tuple[int, ...]:
    """Return the batch axes of `x`: all but its last `ndim`."""
    return tuple(x.shape[: x.ndim - ndim])


def flatten(x: Array, ndim: int) -> Array:
    """Return `x` with its last `ndim` axes made one."""
    batch = split_batch(x, ndim)
    return namespace(x).reshape(x, (*batch, math.prod(x.shape[len(batch) :])))


def dot(x: Array, y: Array, ndim: int) -> Array:
    """Return ``sum(conj(x) * y)`` over the last `ndim` axes, accumulated in double precision.

    Returns
    -------
    array
        One number for each vector of the batch, float64 or complex128, of the library of `x`.
    """
    xp = namespace(x)
    wide = xp.complex128 if "complex" in (kind(x), kind(y)) else xp.float64
    return xp.vecdot(flatten(xp.astype(x, wide, copy=False), ndim), flatten(xp.astype(y, wide, copy=False), ndim))


def to_numpy(x: Array) -> np.ndarray:
    """Return the entries of `x`, an array in host memory, as a NumPy array."""
    return np.asarray(x) if isinstance(x, np.ndarray | np.generic) else np.from_dlpack(x)
