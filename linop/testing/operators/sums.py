"""Strategies for operators that add up entries of one array: along an axis, over axes, on the diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from linop.operators.sums.cumulative_sum import CumulativeSum
from linop.operators.sums.sum_axes import Mean, SumAxes
from linop.operators.sums.trace import Trace
from linop.spaces import Euclidean
from linop.testing.expressions import Expression
from linop.testing.operators.twin import with_twin
from linop.testing.spaces import euclidean_spaces


@st.composite
def cumulative_sums(draw: st.DrawFn) -> Expression:
    """Return sums along any axis, counted from either end."""
    X = draw(euclidean_spaces(min_ndim=1))
    axis = draw(st.integers(-X.ndim, X.ndim - 1))
    return with_twin(CumulativeSum(X, axis), lambda x: np.cumsum(x, axis=axis))


@st.composite
def sums_over_axes(draw: st.DrawFn) -> Expression:
    """Return sums over all axes, over one, over some or over none."""
    X = draw(euclidean_spaces())
    axes = draw(_axes(X.ndim, range(X.ndim)))
    return with_twin(SumAxes(X, axes), lambda x: np.sum(x, axis=axes))


@st.composite
def means(draw: st.DrawFn) -> Expression:
    """Return averages over axes, as `sums_over_axes` sums, wherever there is something to average."""
    X = draw(euclidean_spaces())
    axes = draw(_axes(X.ndim, [axis for axis, n in enumerate(X.shape) if n]))
    return with_twin(Mean(X, axes), lambda x: np.mean(x, axis=axes))


@st.composite
def traces(draw: st.DrawFn) -> Expression:
    """Return traces of stacks of square matrices, empty ones included."""
    n, X = draw(st.integers(0, 4)), draw(euclidean_spaces(max_ndim=2, max_extent=3))
    square = Euclidean((*X.shape, n, n), X.dtype, X.field)
    return with_twin(Trace(square), lambda x: np.trace(x, axis1=-2, axis2=-1))


def _axes(ndim: int, allowed: Sequence[int]) -> st.SearchStrategy[Any]:
    """Return ways to name axes: None for all, one of them, a tuple of some; counted from either end."""
    named: st.SearchStrategy[Any] = st.just(())
    if len(allowed) == ndim:
        named |= st.none()
    if allowed:
        axis = st.sampled_from([*allowed, *(k - ndim for k in allowed)])
        named |= axis | st.lists(axis, unique_by=lambda k: k % ndim).map(tuple)
    return named
