"""Strategies for operators that weigh neighbours: correlation, convolution, finite differences, gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from linop.operators.stencils.correlation import Convolution, Correlation
from linop.operators.stencils.finite_difference import FiniteDifference
from linop.operators.stencils.gradient import Gradient
from linop.spaces import Euclidean, Space
from linop.testing.expressions import Expression
from linop.testing.operators.indexing import NUMPY_MODES
from linop.testing.operators.twin import with_twin
from linop.testing.spaces import euclidean_spaces

Array = np.ndarray[Any, Any]
Options = dict[str, Any]

# -- correlation and convolution ---------------------------------------------------------------------------------------


@st.composite
def correlations(draw: st.DrawFn) -> Expression:
    """Return correlations, with channels or without, of integers or of tenths; see `correlation_cases`."""
    domain, kernel, options = draw(correlation_cases(False) | correlation_cases(True))
    kernel = draw(st.sampled_from([1, 1, 0.1])) * kernel
    return with_twin(Correlation(domain, kernel, **options), lambda x: correlated(x, kernel, **options))


@st.composite
def convolutions(draw: st.DrawFn) -> Expression:
    """Return convolutions, with channels or without, of integers or of tenths; see `correlation_cases`."""
    domain, kernel, options = draw(correlation_cases(False) | correlation_cases(True))
    kernel = draw(st.sampled_from([1, 1, 0.1])) * kernel
    return with_twin(Convolution(domain, kernel, **options), lambda x: convolved(x, kernel, **options))


@st.composite
def correlation_cases(draw: st.DrawFn, channels: bool) -> tuple[Space, Array, Options]:
    """Return a domain, a kernel of small integers, and options, for a correlation or a convolution.

    Parameters
    ----------
    channels : bool
        Whether there are channels, in groups; or else only spatial axes, down to none.
    """
    spatial = draw(st.integers(1 if channels else 0, 3))
    most = 3 if spatial < 3 else 2
    each = st.tuples(*(st.integers(1, most) for _ in range(spatial)))
    extents, dilation, stride = draw(each), draw(each), draw(st.just((1,) * spatial) | each)
    reaches = [d * (k - 1) for d, k in zip(dilation, extents, strict=True)]
    shape = tuple(draw(st.sampled_from([r + 1, r + 2, r + most] * 2 + [r, 0])) for r in reaches)  # it mostly fits
    width = st.integers(0, 2)
    padding: st.SearchStrategy[Any] = st.tuples(*(width | st.tuples(width, width) for _ in range(spatial)))
    padding |= st.sampled_from(["valid", "full", *(["same"] if set(stride) <= {1} else [])])
    options: Options = {"stride": stride, "dilation": dilation, "padding": draw(padding)}
    if channels:
        count = st.sampled_from([1, 2, 3] * 3 + [0])
        groups, each_from, each_to = (min(draw(n), most) for n in (st.integers(1, 3), count, count))
        shape, extents = (groups * each_from, *shape), (groups * each_to, each_from, *extents)
        options["groups"] = groups
    like = draw(euclidean_spaces(max_ndim=0))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    kernel = generator.integers(-3, 4, extents).astype(np.float64)
    if like.dtype.kind == "c" and draw(st.booleans()):
        kernel = kernel + 1j * generator.integers(-3, 4, extents)
    return Euclidean(shape, like.dtype, like.field), kernel, options


def correlated(x: Array, kernel: Array, **options: Any) -> Array:
    """Return the correlation with a kernel (not conjugated) that SciPy makes; see `Correlation` for the options."""
    from scipy.signal import correlate

    return _by_channel(lambda x, c: correlate(x, c.conj(), "valid", "direct"), x, kernel, (0, 1), **options)


def convolved(x: Array, kernel: Array, **options: Any) -> Array:
    """Return the convolution with a kernel that SciPy makes; see `Convolution` for the options."""
    from scipy.signal import convolve

    return _by_channel(lambda x, c: convolve(x, c, "valid", "direct"), x, kernel, (1, 0), **options)


def _by_channel(
    valid: Callable[[Array, Array], Array],
    x: Array,
    kernel: Array,
    odd: tuple[int, int],
    *,
    groups: int | None = None,
    **options: Any,
) -> Array:
    """Return a sum over the channels of each group, from a function of arrays without channels."""
    if groups is None:
        return _by_array(valid, x, kernel, odd, **options)
    found = []
    for to, here in enumerate(kernel):
        first = to // (len(kernel) // groups) * len(here)
        found.append(sum(_by_array(valid, x[first + k], c, odd, **options) for k, c in enumerate(here)))
    nothing = _by_array(valid, np.zeros(x.shape[1:], x.dtype), np.zeros(kernel.shape[2:]), odd, **options)
    return np.array([total + nothing for total in found]).reshape(len(kernel), *nothing.shape)


def _by_array(
    valid: Callable[[Array, Array], Array],
    x: Array,
    kernel: Array,
    odd: tuple[int, int],
    *,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: Any,
) -> Array:
    """Pad, spread the kernel, and keep every s-th entry of what a function makes of the two."""
    reaches = [d * (k - 1) for d, k in zip(dilation, kernel.shape, strict=True)]
    x = x.astype(np.result_type(x, kernel))  # SciPy would cast what it has not written yet to the other's dtype
    padded = np.pad(x, padding_widths(padding, reaches, odd)) if x.ndim else x
    holes = np.zeros([r + 1 for r in reaches], x.dtype)
    holes[tuple(slice(None, None, d) for d in dilation)] = kernel
    if any(n < k for n, k in zip(padded.shape, holes.shape, strict=True)):  # SciPy would exchange the two
        counts = [max(0, (n - k) // s + 1) for n, k, s in zip(padded.shape, holes.shape, stride, strict=True)]
        return np.zeros(counts, x.dtype)
    return np.asarray(valid(padded, holes))[tuple(slice(None, None, s) for s in stride)]


def padding_widths(padding: Any, reaches: Sequence[int], odd: tuple[int, int] = (0, 1)) -> list[tuple[int, int]]:
    """Return the zeros below and above each axis.

    Parameters
    ----------
    padding : str, or sequence of int or of pairs
        As for `Correlation`.
    reaches : sequence of int
        Along each axis, how far the last tap is from the first.
    odd : tuple of int, optional
        Of an odd number of zeros for "same", how many more are below and above: ``(0, 1)`` for a correlation, ``(1,
        0)`` for a convolution.
    """
    if isinstance(padding, str):
        below, above = odd
        named = {"valid": [(0, 0) for _ in reaches], "full": [(r, r) for r in reaches]}
        named["same"] = [((r + below) // 2, (r + above) // 2) for r in reaches]
        return named[padding]
    return [(width, width) if isinstance(width, int) else width for width in padding]


# -- differences -------------------------------------------------------------------------------------------------------


@st.composite
def finite_differences(draw: st.DrawFn) -> Expression:
    """Return derivatives along an axis of any order up to four, scheme and boundary; see `difference_cases`."""
    domain, axis, options = draw(difference_cases())
    options["spacing"] = draw(st.sampled_from([options["spacing"], 0.1]))
    return with_twin(FiniteDifference(domain, axis, **options), lambda x: differences(x, axis, **options))


@st.composite
def difference_cases(draw: st.DrawFn) -> tuple[Space, int, Options]:
    """Return a domain, an axis and options for a finite difference; spacings are powers of two, which are exact."""
    options, least = draw(_schemes(4))
    options["spacing"] = draw(st.sampled_from([1, 0.5, 2.0]))
    like = draw(euclidean_spaces(min_ndim=1, max_extent=3))
    axis = draw(st.integers(-like.ndim, like.ndim - 1))
    shape = list(like.shape)
    shape[axis] = draw(st.integers(least, max(least + 2, 5)))
    return Euclidean(tuple(shape), like.dtype, like.field), axis, options


@st.composite
def gradients(draw: st.DrawFn) -> Expression:
    """Return derivatives along some axes in any order, with a spacing for each of them, or one for all."""
    ndim = draw(st.integers(1, 3))
    options, least = draw(_schemes(3 if ndim < 3 else 1))
    shape = tuple(draw(st.integers(least, max(least + 1, 4 if ndim < 3 else 3))) for _ in range(ndim))
    like = draw(euclidean_spaces(max_ndim=0))
    axes = draw(st.permutations(range(ndim)))[: draw(st.integers(1, ndim))]
    spacing = st.sampled_from([0.5, 1.0, 2.0])
    spacings = draw(spacing | st.tuples(*(spacing for _ in axes)))
    each = spacings if isinstance(spacings, tuple) else (spacings,) * len(axes)
    A = Gradient(Euclidean(shape, like.dtype, like.field), axes=axes, spacing=spacings, **options)
    return with_twin(
        A, lambda x: tuple(differences(x, k, spacing=h, **options) for k, h in zip(axes, each, strict=True))
    )


@st.composite
def _schemes(draw: st.DrawFn, largest: int) -> tuple[Options, int]:
    """Return an order, a scheme and a boundary, and how many entries an axis must have for them at least."""
    order = draw(st.integers(1, largest))
    scheme = draw(st.sampled_from(["forward", "backward", "central"]))
    boundary = draw(st.sampled_from(["valid", *NUMPY_MODES]))
    reach = order + (scheme == "central" and order % 2)
    return {"order": order, "scheme": scheme, "boundary": boundary}, {"valid": reach, "zero": 0}.get(boundary, 1)


def differences(x: Array, axis: int, *, order: int, scheme: str, boundary: str, spacing: float) -> Array:
    """Return numpy.diff of an array that numpy.pad made longer; of odd order and central, numpy.gradient of that."""
    before = {"forward": 0, "backward": order, "central": (order + 1) // 2}[scheme]
    after = {"forward": order, "backward": 0, "central": (order + 1) // 2}[scheme]
    if boundary != "valid":
        width = [(before, after) if k == axis % x.ndim else (0, 0) for k in range(x.ndim)]
        x = np.pad(x, width, mode=NUMPY_MODES[boundary])
    if scheme != "central" or order % 2 == 0:
        return np.diff(x, n=order, axis=axis) / spacing**order
    once_less = np.diff(x, n=order - 1, axis=axis) / spacing ** (order - 1)
    inside = tuple(slice(1, -1) if k == axis % x.ndim else slice(None) for k in range(x.ndim))
    if once_less.shape[axis] == 2:  # nothing is inside, and numpy.gradient has no names for what it does there
        return once_less[inside]
    return np.asarray(np.gradient(once_less, spacing, axis=axis))[inside]
