"""Strategies for operators of signal processing: flips, shifts, windows, changing kernels, smoothing, Laplacians."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from linop.operators.indexing.flip import Flip
from linop.operators.indexing.roll import Roll
from linop.operators.indexing.symmetrise import Symmetrise
from linop.operators.indexing.windows import Windows
from linop.operators.spectral.dct import DCT
from linop.operators.spectral.fractional_shift import FractionalShift
from linop.operators.stencils.directional_derivative import DirectionalDerivative
from linop.operators.stencils.laplacian import Laplacian
from linop.operators.stencils.non_stationary_convolution import NonStationaryConvolution
from linop.operators.stencils.smoothing import Smoothing
from linop.spaces import Euclidean
from linop.testing.expressions import Expression
from linop.testing.operators.indexing import NUMPY_MODES
from linop.testing.operators.twin import with_twin
from linop.testing.spaces import euclidean_spaces

Array = np.ndarray[Any, Any]


def _axes(ndim: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Return some axes, each once, in any order."""
    return st.permutations(range(ndim)).flatmap(lambda axes: st.integers(0, ndim).map(lambda k: tuple(axes[:k])))


def _with_entries(**options: Any) -> st.SearchStrategy[Euclidean]:
    """Return spaces of arrays with an axis or more and entries."""
    return euclidean_spaces(min_ndim=1, **options).filter(lambda X: X.size > 0)


@st.composite
def flips(draw: st.DrawFn) -> Expression:
    """Return flips of some axes, or of all by default."""
    X = draw(euclidean_spaces(max_extent=3))
    axes = draw(st.none() | _axes(X.ndim))
    return with_twin(Flip(X, axes), lambda x: np.flip(x, axes))


@st.composite
def rolls(draw: st.DrawFn) -> Expression:
    """Return shifts of any length along some axes."""
    X = draw(euclidean_spaces(max_extent=3))
    axes = draw(_axes(X.ndim))
    shifts = tuple(draw(st.integers(-7, 7)) for _ in axes)

    def function(x: Array) -> Array:
        for shift, axis in zip(shifts, axes, strict=True):
            x = np.roll(x, shift, axis)
        return x.copy()

    return with_twin(Roll(X, shifts, axes), function)


@st.composite
def symmetrisations(draw: st.DrawFn) -> Expression:
    """Return mirror images along an axis."""
    X = draw(euclidean_spaces(min_ndim=1).filter(lambda X: any(X.shape)))
    axis = draw(st.sampled_from([axis for axis, n in enumerate(X.shape) if n]))

    def function(x: Array) -> Array:
        return np.concatenate([np.flip(x, axis), np.delete(x, 0, axis)], axis)

    return with_twin(Symmetrise(X, axis), function)


@st.composite
def windows(draw: st.DrawFn) -> Expression:
    """Return windows along the last axes, that overlap or leave entries out, with a taper or without."""
    X = draw(_with_entries(max_ndim=2, max_extent=5))
    axes = draw(st.integers(1, X.ndim))
    size = tuple(draw(st.integers(1, n)) for n in X.shape[X.ndim - axes :])
    step = tuple(draw(st.integers(1, 3)) for _ in size)
    taper = draw(st.none() | st.integers(0, 99))
    factors = None if taper is None else np.random.default_rng(taper).integers(-3, 4, size).astype(float)

    def function(x: Array) -> Array:
        view = np.lib.stride_tricks.sliding_window_view(x, size, tuple(range(-axes, 0)))
        kept: Array = view[(..., *(slice(None, None, s) for s in step), *(slice(None),) * axes)]  # type: ignore[arg-type]
        return kept.copy() if factors is None else kept * factors.astype(x.real.dtype)

    return with_twin(Windows(X, size, step, taper=factors), function)


@st.composite
def non_stationary_convolutions(draw: st.DrawFn) -> Expression:
    """Return convolutions whose kernels change along an axis."""
    X = draw(_with_entries(max_ndim=2, max_extent=5))
    axis = draw(st.integers(0, X.ndim - 1))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    count, half = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    kernels = generator.integers(-3, 4, (count, 2 * half + 1)).astype(float)
    places = np.sort(generator.choice(20, count, replace=False)) / 4

    def function(x: Array) -> Array:
        lines = np.moveaxis(x, axis, -1)
        result = np.zeros_like(lines)
        n = lines.shape[-1]
        for k in range(n):
            kernel = [np.interp(k, places, kernels[:, i]) for i in range(2 * half + 1)]
            for offset in range(-half, half + 1):
                if 0 <= k + offset < n:
                    result[..., k + offset] += lines.dtype.type(kernel[offset + half]) * lines[..., k]
        return np.moveaxis(result, -1, axis)

    return with_twin(NonStationaryConvolution(X, kernels, places.tolist(), axis), function)


@st.composite
def fractional_shifts(draw: st.DrawFn) -> Expression:
    """Return shifts by quarters of an entry."""
    X = draw(_with_entries(max_extent=4))
    axis, shift = draw(st.integers(0, X.ndim - 1)), draw(st.integers(-20, 20)) / 4
    n = X.shape[axis]
    # The trigonometric polynomial through a one at zero (Dirichlet's kernel), written as a sum of cosines.
    t = np.arange(n) - shift
    kernel = sum((2 * np.cos(2 * np.pi * f * t / n) for f in range(1, (n + 1) // 2)), np.ones(n))
    if n % 2 == 0:
        kernel = kernel + np.cos(np.pi * np.arange(n)) * np.cos(np.pi * shift)
    entries = np.stack([np.roll(kernel / n, k) for k in range(n)], axis=1)

    def function(x: Array) -> Array:
        return np.moveaxis(np.tensordot(entries, x, (1, axis)), 0, axis).astype(x.dtype)

    return with_twin(FractionalShift(X, shift, axis), function)


@st.composite
def smoothings(draw: st.DrawFn) -> Expression:
    """Return running means along some axes, with every boundary."""
    X = draw(_with_entries(max_ndim=2))
    axes = draw(_axes(X.ndim).filter(bool))
    widths = tuple(draw(st.sampled_from([1, 3, 5])) for _ in axes)
    boundary = draw(st.sampled_from(["edge", "zero", "periodic", "reflect"]))

    def function(x: Array) -> Array:
        size = [dict(zip(axes, widths, strict=True)).get(axis, 1) for axis in range(X.ndim)]
        padded = np.pad(x, [(n // 2, n // 2) for n in size], mode=NUMPY_MODES[boundary])
        view = np.lib.stride_tricks.sliding_window_view(padded, size)
        return np.asarray(view.sum(tuple(range(-X.ndim, 0))) / np.prod(size), x.dtype)

    return with_twin(Smoothing(X, widths, axes, boundary=boundary), function)  # type: ignore[arg-type]


@st.composite
def directional_derivatives(draw: st.DrawFn) -> Expression:
    """Return derivatives in one direction, and in a field of directions."""
    X = draw(_with_entries(max_ndim=2))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    field = draw(st.booleans())
    direction = [generator.integers(-3, 4, X.shape if field else ()).astype(X.coordinate_dtype) for _ in range(X.ndim)]
    forward = draw(st.booleans())

    def function(x: Array) -> Array:
        total = np.zeros_like(x)
        for axis, component in enumerate(direction):
            after = np.take(x, np.minimum(np.arange(X.shape[axis]) + 1, X.shape[axis] - 1), axis)
            before = np.take(x, np.maximum(np.arange(X.shape[axis]) - 1, 0), axis)
            total = total + component * ((after - x) if forward else (after - before) / 2)
        return np.asarray(total, x.dtype)

    scheme: Any = "forward" if forward else "central"
    return with_twin(DirectionalDerivative(X, direction, scheme=scheme), function)


@st.composite
def laplacians(draw: st.DrawFn) -> Expression:
    """Return sums of second differences along some axes, with weights and spacings that are powers of two."""
    X = draw(_with_entries(max_ndim=2))
    axes = draw(_axes(X.ndim).filter(bool))
    weights = tuple(draw(st.sampled_from([1.0, 2.0, -0.5])) for _ in axes)
    spacing = tuple(draw(st.sampled_from([1.0, 0.5])) for _ in axes)
    boundary: Any = draw(st.sampled_from(["edge", "zero", "periodic", "reflect"]))

    def function(x: Array) -> Array:
        total = np.zeros_like(x)
        for axis, weight, h in zip(axes, weights, spacing, strict=True):
            padded = np.pad(x, [(int(k == axis),) * 2 for k in range(X.ndim)], mode=NUMPY_MODES[boundary])
            n = X.shape[axis]
            lower, upper = (np.take(padded, np.arange(n) + k, axis) for k in (0, 2))
            total = total + x.real.dtype.type(weight / h**2) * (lower + upper - 2 * x)
        return np.asarray(total, x.dtype)

    return with_twin(Laplacian(X, axes, weights=weights, boundary=boundary, spacing=spacing), function)


@st.composite
def cosine_transforms(draw: st.DrawFn) -> Expression:
    """Return cosine transforms along some axes, and their inverses."""
    import scipy.fft

    X = draw(euclidean_spaces(max_extent=4).filter(lambda X: 0 not in X.shape))
    axes, inverted = draw(_axes(X.ndim)), draw(st.booleans())

    def function(x: Array) -> Array:
        if not axes:
            return x.copy()
        transform = scipy.fft.idctn if inverted else scipy.fft.dctn
        if x.dtype.kind == "c":
            parts = [transform(part, axes=axes, norm="ortho") for part in (x.real, x.imag)]
            return np.asarray(parts[0] + 1j * parts[1], x.dtype)
        return np.asarray(transform(x, axes=axes, norm="ortho"), x.dtype)

    return with_twin(DCT(X, axes, inverse=inverted), function)
