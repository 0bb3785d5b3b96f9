"""Strategies for operators that find values between the points of a grid: interpolation and resampling."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, get_args

import numpy as np
from hypothesis import strategies as st

from linop.arguments import checked
from linop.operators.grids.interpolation import Boundary, Interpolation, Method
from linop.operators.grids.resampling import Resampling
from linop.testing.expressions import Expression
from linop.testing.operators.twin import with_twin
from linop.testing.spaces import euclidean_spaces, shapes


@checked
@st.composite
def interpolations(draw: st.DrawFn, *, boundary: tuple[Boundary, ...] = get_args(Boundary)) -> Expression:
    """Return interpolations at points of eighths, where arithmetic is exact, or at any others.

    Parameters
    ----------
    boundary : tuple of {"error", "zero", "edge"}, optional
        What points outside the grid may get; there are such points, unless they are errors.
    """
    X = draw(euclidean_spaces(min_ndim=1))
    chosen, method = draw(st.sampled_from(boundary)), draw(st.sampled_from(get_args(Method)))
    reach = 0.0 if chosen == "error" else 1.5
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    count = (0,) if 0 in X.shape else draw(shapes(max_ndim=2))  # in an empty grid, no point has a value
    points = generator.uniform(-reach, np.maximum(X.shape, 1) - 1 + reach, (*count, X.ndim))
    if draw(st.booleans()):
        points = np.round(points * 8) / 8
    A = Interpolation(X, points, method=method, boundary=chosen)
    return with_twin(A, lambda x: _interpolated(x, points, method, chosen))


@st.composite
def resamplings(draw: st.DrawFn) -> Expression:
    """Return finer and coarser grids on each axis, or the same."""
    X = draw(euclidean_spaces())
    shape = tuple(draw(st.integers(0, 5 if n else 0)) for n in X.shape)
    method: Method = draw(st.sampled_from(get_args(Method)))

    def function(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        for axis, (n, m) in enumerate(zip(X.shape, shape, strict=True)):
            x = np.moveaxis(np.tensordot(_hats(n, m, method), x, (1, axis)), 0, axis)
        return x

    return with_twin(Resampling(X, shape, method=method), function)


def _interpolated(
    x: np.ndarray[Any, Any], points: np.ndarray[Any, Any], method: Method, boundary: Boundary
) -> np.ndarray[Any, Any]:
    """Interpolate with scipy, which wants two entries at least in each axis: one entry counts twice."""
    from scipy.interpolate import RegularGridInterpolator

    if 0 in x.shape:
        return np.zeros(points.shape[:-1], x.dtype)
    last = np.array(x.shape) - 1
    inside = np.all((points >= 0) & (points <= last), axis=-1)
    for axis, n in enumerate(x.shape):
        x = np.repeat(x, 2, axis=axis) if n == 1 else x
    values = RegularGridInterpolator([np.arange(n) for n in x.shape], x, method)(np.clip(points, 0, last))
    values = np.reshape(values, inside.shape)  # of one point without axes, scipy makes an axis
    return values if boundary == "edge" else np.asarray(values * inside)


def _hats(n: int, m: int, method: Method) -> np.ndarray[Any, Any]:
    """Return the matrix of the interpolation of m values between n, from rational numbers."""
    entries = np.zeros((m, n))
    for i in range(m):
        point = Fraction(i * (n - 1), max(m - 1, 1))
        hats = [max(1 - abs(point - j), Fraction(0)) for j in range(n)]
        if method == "nearest":
            hats = [Fraction(int(j == hats.index(max(hats)))) for j in range(n)]
        entries[i] = [float(hat) for hat in hats]
    return entries
