"""Strategies for operators that are simple in frequencies: Fourier transforms, circulants, Toeplitz matrices."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
from hypothesis import strategies as st

from linop.arguments import checked
from linop.operators.spectral.circulant import Circulant
from linop.operators.spectral.fft import FFT, Norm
from linop.operators.spectral.irfft import IRFFT
from linop.operators.spectral.rfft import RFFT
from linop.operators.spectral.toeplitz import Toeplitz
from linop.spaces import Euclidean
from linop.testing.expressions import Expression
from linop.testing.operators.twin import with_twin
from linop.testing.spaces import euclidean_spaces, shapes

Array = np.ndarray[Any, Any]

POWERS = {"backward": 0.0, "ortho": -0.5, "forward": -1.0}
"""For each norm, the power of the number of points that the forward transform is multiplied by."""


@st.composite
def ffts(draw: st.DrawFn) -> Expression:
    """Return transforms along any axes that have points, or none, of complex and of real spaces of complex arrays."""
    spaces = euclidean_spaces(("complex64", "complex128"), max_extent=5)
    X = draw(spaces.filter(lambda X: math.prod(X.shape) <= 60))
    axes = draw(_axes_with_points(X.shape, least=0))
    norm: Norm = draw(st.sampled_from(get_args(Norm)))
    inverse = draw(st.booleans())
    power = -1 - POWERS[norm] if inverse else POWERS[norm]

    def function(x: Array) -> Array:
        for axis in axes:
            x = _along(axis, _waves(x.shape[axis], 1 if inverse else -1, power), x)
        return x

    return with_twin(FFT(X, axes, norm=norm, inverse=inverse), function)


@checked
@st.composite
def rffts(draw: st.DrawFn, *, dtypes: tuple[str, ...] = ("float32", "float64")) -> Expression:
    """Return transforms of real arrays along any axes that have points: one, two, odd and even numbers of them.

    Parameters
    ----------
    dtypes : tuple of str, optional
        Of the arrays.
    """
    shape = draw(shapes(min_ndim=1, max_extent=7).filter(lambda shape: any(shape) and math.prod(shape) <= 60))
    X = Euclidean(shape, draw(st.sampled_from(dtypes)))
    axes = draw(_axes_with_points(shape))
    norm: Norm = draw(st.sampled_from(get_args(Norm)))

    def function(x: Array) -> Array:
        for axis in axes:
            n = x.shape[axis]
            kept = n // 2 + 1 if axis == axes[-1] else n
            x = _along(axis, _waves(n, -1, POWERS[norm])[:kept], x)
        return x

    return with_twin(RFFT(X, axes, norm=norm), function)


@st.composite
def irffts(draw: st.DrawFn) -> Expression:
    """Return transforms of half spectra to odd and even lengths, along any axes that have points."""
    shape = draw(shapes(min_ndim=1, max_extent=5).filter(lambda shape: any(shape) and math.prod(shape) <= 30))
    X = Euclidean(shape, draw(st.sampled_from(["complex64", "complex128"])), "real")
    axes = draw(_axes_with_points(shape))
    columns = shape[axes[-1]]
    length = 1 if columns == 1 else draw(st.sampled_from([2 * columns - 2, 2 * columns - 1]))
    norm: Norm = draw(st.sampled_from(get_args(Norm)))

    def function(y: Array) -> Array:
        for axis in axes:
            if axis == axes[-1]:
                y = _whole(y, axis, length)
            y = _along(axis, _waves(y.shape[axis], 1, -1 - POWERS[norm]), y)
        np.testing.assert_allclose(y.imag, 0, atol=1e-13)  # of basis vectors: the twin is real
        return y.real

    return with_twin(IRFFT(X, length, axes, norm=norm), function)


@st.composite
def circulants(draw: st.DrawFn) -> Expression:
    """Return circulants of integer kernels, real and complex ones, some of them Hermitian."""
    X = draw(euclidean_spaces(min_ndim=1, max_extent=5).filter(lambda X: 0 < math.prod(X.shape) <= 40))
    column = draw(_integers(X.shape, X.dtype))
    if draw(st.booleans()):
        column = column + mirrored(column)

    def function(x: Array) -> Array:
        result: Array = np.zeros_like(column * x)
        for k in np.ndindex(*x.shape):
            result += column[k] * np.roll(x, k, tuple(range(x.ndim)))
        return result

    return with_twin(Circulant(column, X), function)


@st.composite
def toeplitz_operators(draw: st.DrawFn) -> Expression:
    """Return Toeplitz matrices of integers, wide and tall, real and complex, with and without a row of their own."""
    from scipy.linalg import toeplitz

    X = draw(euclidean_spaces(min_ndim=1, max_ndim=1, max_extent=9).filter(lambda X: X.size > 0))
    symmetric = draw(st.booleans())
    column = draw(_integers(X.shape if symmetric else (draw(st.integers(1, 9)),), X.dtype))
    row = None if symmetric else draw(_integers(X.shape, X.dtype))
    entries = toeplitz(column, row)
    return with_twin(Toeplitz(column, row, X), lambda x: entries @ x)


def mirrored(column: Array) -> Array:
    """Return the kernel of a circulant's adjoint, by index: the conjugate of the entry at minus each place."""
    result = np.empty_like(column)
    for k in np.ndindex(*column.shape):
        result[k] = column[tuple(-i % n for i, n in zip(k, column.shape, strict=True))].conj()
    return result


@st.composite
def _axes_with_points(draw: st.DrawFn, shape: tuple[int, ...], *, least: int = 1) -> list[int]:
    """Return some of the axes that have points, in any order, counted from either end."""
    usable = [axis for axis, n in enumerate(shape) if n > 0]
    axes = draw(st.permutations(usable))[: draw(st.integers(least, len(usable)))]
    return [axis - draw(st.sampled_from([0, len(shape)])) for axis in axes]


@st.composite
def _integers(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return small integers: complex ones for complex arrays, or floating ones, or of an integer dtype."""
    kind = draw(st.sampled_from([dtype, np.empty(0, dtype).real.dtype, np.dtype(int)]))
    values: Array = Euclidean(shape, "complex128").integers(draw(st.integers(0, 99)))
    return (values if kind.kind == "c" else values.real).astype(kind)


def _along(axis: int, entries: Array, x: Array) -> Array:
    """Return a matrix times an array, along one axis."""
    return np.moveaxis(np.tensordot(entries, x, (1, axis)), 0, axis)


def _waves(n: int, sign: int, power: float) -> Array:
    """Return ``n^power exp(sign 2 pi i j k / n)`` for all j and k."""
    angles = 2 * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n
    waves: Array = float(n) ** power * np.exp(sign * 1j * angles)
    return waves


def _whole(y: Array, axis: int, length: int) -> Array:
    """Return a spectrum from half of it: with the mirror images; of columns that have none, the real part."""
    half = np.moveaxis(y, axis, 0)
    whole = np.zeros((length, *half.shape[1:]), complex)
    for k in range(length // 2 + 1):
        whole[k] += half[k] / 2
        whole[-k] += half[k].conj() / 2
        if 0 < k < length - k:
            whole[k], whole[-k] = 2 * whole[k], 2 * whole[-k]
    return np.moveaxis(whole, 0, axis)
