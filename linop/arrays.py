"""The few array functions that the algebra needs, for arrays of any array API library.

Vectors stay in the library, on the device and in the precision they came in. NumPy's take a short way where a small
operator would notice the long one.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np
from numpy import ndarray

Array = Any
"""An array of the array API standard: `numpy.ndarray`, `torch.Tensor`, ..."""

Vector = Any
"""What a space consists of: an array, or for a product of spaces a tuple of vectors."""

Scalar = Any
"""A Python or NumPy number, real or complex."""


def namespace(x: Array) -> Any:
    """Return the array API namespace of an array: of NumPy's, NumPy itself, which follows the standard.

    Raises
    ------
    TypeError
        When `x` is not an array of the array API standard.
    """
    if type(x) is ndarray or isinstance(x, np.generic):
        return np
    found = array_api_compat.array_namespace(x)
    return np if found.__name__ == "array_api_compat.numpy" else found


def is_array(x: object) -> bool:
    """Say whether `x` is an array of the array API standard."""
    return bool(array_api_compat.is_array_api_obj(x))


_KINDS = {"c": "complex", "f": "real", "i": "real", "u": "real"}


def kind(x: Array) -> str:
    """Return ``"complex"``, ``"real"`` (integers among them) or ``"other"``: what the entries of an array are."""
    if type(x) is ndarray:
        return _KINDS.get(x.dtype.kind, "other")
    xp = namespace(x)
    if xp.isdtype(x.dtype, "complex floating"):
        return "complex"
    return "real" if xp.isdtype(x.dtype, ("real floating", "integral")) else "other"


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Return zeros in the library, dtype and device of `like`."""
    if type(like) is ndarray:
        return np.zeros(shape, like.dtype)
    return namespace(like).zeros(shape, dtype=like.dtype, device=array_api_compat.device(like))


def empty(shape: tuple[int, ...], like: Array) -> Array:
    """Return an uninitialised array in the library, dtype and device of `like`."""
    if type(like) is ndarray:
        return np.empty(shape, like.dtype)
    return namespace(like).empty(shape, dtype=like.dtype, device=array_api_compat.device(like))


def is_row_major(x: Array) -> bool:
    """Say whether the entries are known to lie in memory one after the other, in row-major order, and aligned."""
    if type(x) is ndarray:
        return x.flags.c_contiguous and x.flags.aligned
    return bool(getattr(x, "is_contiguous", bool)()) and not getattr(x, "is_conj", bool)()


def widened(x: Array) -> Array:
    """Return half precision as single, in which sums do not lose digits; everything else as it is."""
    if type(x) is ndarray and x.dtype.itemsize > 2:
        return x
    xp = namespace(x)
    if kind(x) == "real" and not xp.isdtype(x.dtype, "integral") and xp.finfo(x.dtype).bits < 32:
        return xp.astype(x, xp.float32)
    return x


def is_integral(x: Array) -> bool:
    """Say whether the entries of an array are integers."""
    # All libraries use these words, int8 or torch.uint8; to ask each for its own is slow.
    return x.dtype.kind in "iu" if type(x) is ndarray else "int" in str(x.dtype)


def wide(x: Array) -> Array:
    """Return an array in double precision."""
    xp = namespace(x)
    return xp.astype(x, xp.complex128 if kind(x) == "complex" else xp.float64, copy=False)


def copy(x: Vector) -> Vector:
    """Return a fresh vector with the entries of `x`, in row-major order."""
    if type(x) is ndarray:
        return x.copy()
    if type(x) is tuple:
        return tuple(map(copy, x))
    y = empty(tuple(x.shape), like=x)
    y[...] = x
    return y


def match(constant: np.ndarray, like: Array) -> Array:
    """Bring an operator's constant to the library, device and precision of a vector.

    The field is the constant's or the vector's, whichever is larger: a complex constant stays complex.
    """
    if type(like) is ndarray and constant.dtype is like.dtype:
        return constant
    xp = namespace(like)
    found = constant if xp is np else xp.asarray(constant.copy(), device=array_api_compat.device(like))
    if xp.isdtype(like.dtype, "integral"):
        return found
    complexify = np.iscomplexobj(constant) and kind(like) == "real"
    dtype = xp.result_type(like.dtype, xp.complex64) if complexify else like.dtype
    return xp.astype(found, dtype, copy=False)


def floating(x: Array) -> Array:
    """Return an array with floating entries: integers become doubles, everything else stays."""
    xp = namespace(x)
    return xp.astype(x, xp.float64) if xp.isdtype(x.dtype, "integral") else x


def complexified(x: Array) -> Array:
    """Return an array with complex entries in its own precision: fresh where they were real, else the array itself."""
    if kind(x) == "complex":
        return x
    xp, x = namespace(x), floating(x)
    return xp.astype(x, xp.result_type(x.dtype, xp.complex64))


def match_index(index: np.ndarray, like: Array) -> Array:
    """Bring an operator's integer indices to the library and device of a vector."""
    if type(like) is ndarray:
        return index
    return namespace(like).asarray(index.copy(), device=array_api_compat.device(like))


def has_few_digits(entries: np.ndarray) -> bool:
    """Say whether products of small integers with these numbers are exact: multiples of 2**-10 up to 2**10."""
    parts = (entries.real, entries.imag)
    return all(bool(np.all(np.abs(part) <= 2**10) and np.all(part * 2**10 == np.rint(part * 2**10))) for part in parts)


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """Return `x` in another shape; its memory may be shared."""
    if type(x) is ndarray:
        return x if x.shape == shape else x.reshape(shape)
    return namespace(x).reshape(x, shape)


def take(x: Array, index: np.ndarray, axis: int) -> Array:
    """Return the entries along an axis that integer indices name, fresh."""
    if type(x) is ndarray:
        return x.take(index, axis=axis)
    return namespace(x).take(x, match_index(index, like=x), axis=axis)


def split_batch(x: Array, ndim: int) -> tuple[int, ...]:
    """Return the batch axes of `x`: all but its last `ndim`."""
    return tuple(x.shape[: x.ndim - ndim])


def flatten(x: Array, ndim: int) -> Array:
    """Return `x` with its last `ndim` axes made one."""
    if ndim == 1:
        return x
    batch = split_batch(x, ndim)
    return reshape(x, (*batch, math.prod(x.shape[len(batch) :])))


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
    """Return the entries of `x` as a NumPy array; torch's bfloat16, which NumPy has not, in single precision."""
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(x)
    if "bfloat16" in str(x.dtype):
        x = namespace(x).astype(x, namespace(x).float32)
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError):  # not in host memory
        return np.from_dlpack(array_api_compat.to_device(x, "cpu"))


def cast(x: np.ndarray, like: Array) -> Array:
    """Return a NumPy array in the library, on the device and in the precision of `like`; its field stays."""
    xp = namespace(like)
    found = xp.asarray(x.copy(), device=array_api_compat.device(like))
    if kind(found) == kind(like):
        return found if xp.isdtype(like.dtype, "integral") else xp.astype(found, like.dtype, copy=False)
    if kind(found) == "real":  # of a complex vector's precision
        return xp.astype(found, xp.real(like).dtype, copy=False)
    complex_like = xp.complex64 if xp.isdtype(like.dtype, "integral") else xp.result_type(like.dtype, xp.complex64)
    return xp.astype(found, complex_like, copy=False)


# -- vectors: arrays, or tuples of vectors -----------------------------------------------------------------------------


def each(function: Callable[..., Any], *vectors: Vector) -> Vector:
    """Apply a function to the arrays of one or more vectors of the same structure."""
    if type(vectors[0]) is tuple:
        return tuple(each(function, *parts) for parts in zip(*vectors, strict=True))
    return function(*vectors)


def leaves(x: Vector) -> list[Array]:
    """Return the arrays that a vector consists of."""
    return [array for part in x for array in leaves(part)] if type(x) is tuple else [x]


def without_scalars(x: Vector) -> Vector:
    """Return a vector with arrays where NumPy's arithmetic has made scalars of arrays without axes."""
    if type(x) is tuple:
        return tuple(map(without_scalars, x))
    return np.asarray(x) if isinstance(x, np.generic) else x


def precision(x: Vector) -> float:
    """Return the distance from one to the next number, in the coarsest precision among the arrays of a vector."""
    return max(map(_precision, leaves(x)))


def _precision(x: Array) -> float:
    xp = namespace(x)
    return 2.0**-52 if xp.isdtype(x.dtype, "integral") else float(xp.finfo(x.dtype).eps)


def add(x: Vector, y: Vector, *, spent: bool = False) -> Vector:
    """Return ``x + y``; where `x` is spent, the result may take its memory, unless that is another array's, too."""
    if type(x) is tuple:
        return each(operator.add, x, y)
    alike = type(x) is ndarray and type(y) is ndarray and x.dtype is y.dtype
    if spent and alike and x.base is None and x.flags.writeable:
        x += y
        return x
    return x + y


def scale(scalar: Scalar, x: Vector) -> Vector:
    """Return ``scalar * x``; of a batch of vectors, the scalar may be an array with one number for each."""
    if type(scalar) is ndarray and scalar.ndim:
        return each(lambda part: _spread(scalar, part) * part, x)
    return each(lambda part: scalar * part, x) if type(x) is tuple else scalar * x


def _spread(scalars: np.ndarray, like: Array) -> Array:
    """Return one number for each vector of a batch so that it multiplies all entries of that vector."""
    return cast(scalars.reshape(*scalars.shape, *(1,) * (like.ndim - scalars.ndim)), like)


def axpy(scalar: Scalar, x: Vector, y: Vector, *, spent: str | None = None) -> Vector:
    """Return ``scalar * x + y``; where ``"x"`` or ``"y"`` is spent, the result may take its memory; see `add`.

    Of batches of vectors, the scalar may be an array with one number for each.
    """
    if type(x) is tuple:
        return tuple(axpy(scalar, a, b, spent=spent) for a, b in zip(x, y, strict=True))
    if type(scalar) is ndarray and scalar.ndim:
        return _spread(scalar, x) * x + y
    if not (type(x) is ndarray and type(y) is ndarray and x.dtype is y.dtype and isinstance(scalar, float)):
        return scalar * x + y
    memory = x if spent == "x" else y if spent == "y" else None
    if memory is not None and not (memory.base is None and memory.flags.writeable):  # it is another array's, too
        memory = None
    if x.dtype.kind in "fc" and abs(scalar) == 1:
        return np.add(y, x, out=memory) if scalar == 1 else np.subtract(y, x, out=memory)
    if spent == "y" and memory is not None:
        y += scalar * x
        return y
    product = np.multiply(scalar, x, out=memory if spent == "x" else None)
    product += y
    return product
