"""Correlation with a kernel, and convolution: with strides, dilation, padding by zeros, channels and groups.

=========  ==================================================================================
map        ``y_i = sum_k c_k x_(s i + d k - p)``, for stride s, dilation d, padding p
adjoint    ``x_j = sum_(i, k) conj(c_k) y_i`` over all ``s i + d k - p == j``
matrix     Toeplitz: entry (i, j) is c_k where ``s i + d k - p == j``, for channels a block
=========  ==================================================================================
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.queries.cost import Cost, cost, moved, products, reals
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain

PerAxis = int | Sequence[int]
Widths = str | int | Sequence[int | tuple[int, int]]
Piece = tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]

BLOCK = 2**15
"""About how many entries of a result are computed at once."""


@final
class Correlation(LinearOperator):
    """The map ``y_i = sum_k kernel_k x_(stride i + dilation k - padding)``; entries outside of x are zero.

    It is linear in x *and in the kernel*, which is not conjugated: that is what neural networks call convolution.
    `scipy.signal.correlate` conjugates its second argument; here the adjoint does.

    Parameters
    ----------
    domain : Space
        Arrays of shape ``(*spatial)``, or with channels ``(channels_in, *spatial)``.
    kernel : array_like
        As many axes as the domain: no channels. One more: shape ``(channels_out, channels_in / groups, *extents)``.
        Real or complex, finite; copied. Integers become float64.
    stride, dilation : int or sequence of int, optional
        Steps between results and between taps, one or more; one number for each spatial axis, or one for all.
    padding : int, sequence of int or of pairs, or {"valid", "same", "full"}, optional
        How many zeros stand around x: one number for all spatial axes, or one, or a pair (below, above), for each.
        ``"valid"``: none. ``"same"``: as many as keep the shape at stride 1; where their number is odd, the extra one
        is above. ``"full"``: as many as let every tap meet every entry.
    groups : int, optional
        Channels are divided into this many groups of neighbours, which do not see each other.
    codomain : Space, optional
        Arrays of the result's shape: ``floor((n + below + above - dilation (extent - 1) - 1) / stride) + 1`` along an
        axis, zero where the kernel does not fit. The domain where the shapes agree, else Euclidean, by default.

    Raises
    ------
    SpaceError
        When the kernel, the parameters and the spaces do not fit together.

    Notes
    -----
    The shapes are those of Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*, arXiv:1603.07285.
    Each tap costs one product of arrays (with channels, of matrices); the matrix is never formed. With respect to
    `Space.dot`, at stride 1, a kernel that equals its own mirror image conjugated gives a self-adjoint map.

    Examples
    --------
    >>> from linop import Euclidean
    >>> A = Correlation(Euclidean(5), [1.0, 0.0, -1.0])
    >>> A(np.array([1.0, 2.0, 4.0, 8.0, 16.0])).tolist()
    [-3.0, -6.0, -12.0]
    >>> A.H(np.ones(3)).tolist()
    [1.0, 1.0, 0.0, -1.0, -1.0]
    >>> Correlation(Euclidean((3, 32, 32)), np.ones((8, 3, 5, 5)), stride=2, padding=2).codomain
    Euclidean((8, 16, 16), float64)
    """

    @checked
    def __init__(
        self,
        domain: Space,
        kernel: npt.ArrayLike,
        *,
        stride: PerAxis = 1,
        dilation: PerAxis = 1,
        padding: Widths = 0,
        groups: int = 1,
        codomain: Space | None = None,
    ) -> None:
        require_arrays("Correlation", domain)
        found = _checked_kernel(domain, kernel)
        channels = found.ndim > domain.ndim
        whole = found if channels else found[None, None]  # without channels, there is one
        self.groups = _checked_groups(domain, whole, groups)
        spatial, extents = domain.shape[channels:], whole.shape[2:]
        self.stride = _per_axis(domain, "stride", stride, len(spatial))
        self.dilation = _per_axis(domain, "dilation", dilation, len(spatial))
        reach = tuple(d * (extent - 1) for d, extent in zip(self.dilation, extents, strict=True))
        self.padding = _pairs(domain, padding, reach, self.stride)
        counts = tuple(
            max(0, (n + sum(pair) - r - 1) // s + 1)
            for n, pair, r, s in zip(spatial, self.padding, reach, self.stride, strict=True)
        )
        shape = (len(whole), *counts) if channels else counts
        super().__init__(domain, resolve_codomain("Correlation", domain, codomain, shape))
        found.flags.writeable = False
        self.kernel: np.ndarray[Any, Any] = found
        split = whole.reshape((self.groups, len(whole) // self.groups, *whole.shape[1:]))
        self._taps = np.moveaxis(split, (0, 1, 2), (-3, -2, -1)).copy()  # a matrix for each tap and group
        self._from, self._to = (self.groups, split.shape[2], *spatial), (self.groups, split.shape[1], *counts)
        self._pieces = self._meetings(extents)

    @property
    def exact(self) -> bool:
        """Exact where the kernel has few binary digits."""
        return arrays.has_few_digits(self.kernel)

    @property
    def roundings(self) -> int:
        """A product and a sum for each tap and each channel of a group; twice as many where the kernel is complex."""
        channels = int(max(self._taps.shape[-2:]))
        return (2 if self.kernel.dtype.kind == "f" else 4) * len(self._pieces) * channels

    @property
    def gain(self) -> float:
        """The root of the largest absolute row sum times the largest absolute column sum."""
        parts = [np.abs(part.astype(np.float64)) for part in (self._taps.real, self._taps.imag)]
        # In a real space, a complex number is a matrix of its real and imaginary parts.
        sizes = np.hypot(*parts) if self.domain.field == "complex" else parts[0] + parts[1]
        spatial = tuple(range(len(self.stride)))
        rows = sizes.sum(axis=(*spatial, -1))
        for axis in spatial:  # a column meets the taps that are whole strides apart
            remainders = self.dilation[axis] * np.arange(sizes.shape[axis]) % self.stride[axis]
            sizes = np.stack([sizes.compress(remainders == r, axis).sum(axis) for r in np.unique(remainders)], axis)
        columns = sizes.sum(axis=-2)
        return float(np.sqrt(rows.max(initial=0.0)) * np.sqrt(columns.max(initial=0.0)))

    @property
    def claims(self) -> Claims:
        """Self-adjoint, where the kernel is its own mirror image conjugated, and lies symmetrically over a result."""
        if self.domain != self.codomain or any(s != 1 for s in self.stride):
            return claims.NONE
        extents = self._taps.shape[:-3]
        reach = (d * (extent - 1) for d, extent in zip(self.dilation, extents, strict=True))
        centred = all((2 * below, 2 * above) == (r, r) for (below, above), r in zip(self.padding, reach, strict=True))
        mirrored = np.flip(self._taps, axis=tuple(range(len(extents)))).conj().mT
        return frozenset({claims.SELF_ADJOINT}) if centred and np.array_equal(self._taps, mirrored) else claims.NONE

    def _apply(self, x: Array) -> Array:
        return self._accumulate(self._taps, self._pieces, x, self._from, self._to, self.codomain)

    def _apply_dual(self, y: Array) -> Array:
        backward = [(tap, there, here) for tap, here, there in self._pieces]
        return self._accumulate(self._taps.conj().mT, backward, y, self._to, self._from, self.domain)

    @staticmethod
    def _accumulate(
        taps: np.ndarray, pieces: list[Piece], x: Array, source: tuple[int, ...], target: tuple[int, ...], space: Space
    ) -> Array:
        """Return the sum over the taps: each weighs a slice of `x` and adds it to a slice of the result."""
        xp, batch = arrays.namespace(x), arrays.split_batch(x, space.ndim)
        weights = arrays.match(taps, like=x)
        if weights.dtype != x.dtype:
            dtype = weights.dtype if xp.isdtype(x.dtype, "integral") else xp.result_type(weights, x)
            weights, x = xp.astype(weights, dtype, copy=False), xp.astype(x, dtype, copy=False)
        x = xp.reshape(x, (*batch, *source))
        image = arrays.zeros((*batch, *space.shape), like=x)
        result = xp.reshape(image, (*batch, *target))  # shares its memory
        single = taps.shape[-3:] == (1, 1, 1)
        for block in _blocks(pieces, target[2:], BLOCK // max(1, math.prod((*batch, *target[:2])))):
            for k, (tap, here, there) in enumerate(block):  # blocks are disjoint: the first tap finds zeros
                read, written = x[(..., *here)], (..., *there)
                weight = taps[(*tap, 0, 0, 0)] if single else 0
                if weight == -1 and k:
                    result[written] -= read
                    continue
                term = read if weight == 1 else _weigh(weights[(*tap, ...)], read, len(batch))
                if k:  # places within a slice differ, so that nothing is lost in `+=`
                    result[written] += term
                else:
                    result[written] = term
        return image

    def _meetings(self, extents: tuple[int, ...]) -> list[Piece]:
        """Return for each tap that is not zero where it reads in the domain, and where it writes in the codomain."""
        axes = zip(extents, self._from[2:], self._to[2:], self.stride, self.dilation, self.padding, strict=True)
        slices = [
            [_meeting(n, count, s, d * k - below) for k in range(extent)] for extent, n, count, s, d, (below, _) in axes
        ]
        pieces = []
        for tap in itertools.product(*map(range, extents)):
            met = [found for axis, k in enumerate(tap) if (found := slices[axis][k]) is not None]
            if len(met) == len(tap) and np.any(self._taps[tap]):
                pieces.append((tap, tuple(here for here, _ in met), tuple(there for _, there in met)))
        return pieces

    def _key(self) -> tuple[object, ...]:
        kernel = (self.kernel.shape, self.kernel.dtype, self.kernel.tobytes())
        return (self.domain, self.codomain, *kernel, self.stride, self.dilation, self.padding)

    def __str__(self) -> str:
        return f"Correlation({'x'.join(map(str, self.kernel.shape))})"


@checked
def Convolution(
    domain: Space,
    kernel: npt.ArrayLike,
    *,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    padding: Widths = 0,
    groups: int = 1,
    codomain: Space | None = None,
) -> Correlation:
    """Return the convolution ``y_i = sum_k kernel_k x_(i - k)``: the correlation with the mirrored kernel.

    Parameters
    ----------
    domain, kernel, stride, dilation, padding, groups, codomain
        As for `Correlation`; the kernel is mirrored along its spatial axes. With ``"full"`` the result is that of
        `numpy.convolve` and `scipy.signal.convolve`; so it is with ``"same"``, whose extra zero, where their number is
        odd, is below for that reason; and with ``"valid"``, unless the kernel is longer than x: then nothing is left.

    Returns
    -------
    Correlation

    Raises
    ------
    SpaceError
        As `Correlation` does.

    Examples
    --------
    >>> from linop import Euclidean
    >>> A = Convolution(Euclidean(3), [1.0, 10.0], padding="full")
    >>> A(np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 12.0, 23.0, 30.0]
    """
    require_arrays("Convolution", domain)
    found = np.asarray(kernel)
    mirrored = np.flip(found, axis=tuple(range(2 if found.ndim > domain.ndim else 0, found.ndim)))

    def correlation(padding: Widths) -> Correlation:
        return Correlation(
            domain, mirrored, stride=stride, dilation=dilation, padding=padding, groups=groups, codomain=codomain
        )

    result = correlation(padding)
    return correlation([(above, below) for below, above in result.padding]) if padding == "same" else result


def _meeting(n: int, count: int, stride: int, shift: int) -> tuple[slice, slice] | None:
    """Return all i < `count` with ``0 <= stride i + shift < n``, as a slice of x and one of y; None without any."""
    start, stop = max(0, -(shift // stride)), min(count, (n - 1 - shift) // stride + 1)
    if start >= stop:
        return None
    return slice(stride * start + shift, stride * (stop - 1) + shift + 1, stride), slice(start, stop)


def _blocks(pieces: list[Piece], extents: tuple[int, ...], entries: int) -> Iterator[list[Piece]]:
    """Yield what writes to a part of the result, part by part along its longest axis: products then stay in cache."""
    longest = max(range(len(extents)), key=extents.__getitem__, default=0)
    length = extents[longest] if extents else 0
    step = max(1, entries * length // max(1, math.prod(extents)))
    if step >= length:
        yield pieces
        return
    for first in range(0, length, step):
        found = []
        for tap, here, there in pieces:
            met = _within(here[longest], there[longest], first, first + step)
            if met is not None:
                read, written = (
                    (*axes[:longest], part, *axes[longest + 1 :]) for axes, part in zip((here, there), met, strict=True)
                )
                found.append((tap, read, written))
        yield found


def _within(here: slice, there: slice, first: int, last: int) -> tuple[slice, slice] | None:
    """Return the part of a meeting that writes to an interval; None without any."""
    places = range(there.start, there.stop, there.step or 1)
    low, high = (min(max(0, -((places.start - end) // places.step)), len(places)) for end in (first, last))
    if low >= high:
        return None
    read = range(here.start, here.stop, here.step or 1)[low:high]
    written = places[low:high]
    return slice(read.start, read[-1] + 1, read.step), slice(written.start, written[-1] + 1, written.step)


def _weigh(weight: Array, x: Array, batch: int) -> Array:
    """Return a slice, (*batch, groups, channels from, *extents), times a tap, (groups, channels to, channels from)."""
    xp = arrays.namespace(x)
    groups, channels, each = weight.shape
    if groups == channels == each == 1:
        return weight[0, 0, 0] * x
    extents = tuple(x.shape[batch + 2 :])
    if each == 1:  # an outer product: without a copy of the slice
        return xp.reshape(weight, (groups, channels, *(1 for _ in extents))) * x
    columns = xp.reshape(x, (*x.shape[: batch + 2], math.prod(extents)))
    return xp.reshape(xp.matmul(weight, columns), (*x.shape[:batch], groups, channels, *extents))


def _checked_kernel(domain: Space, kernel: npt.ArrayLike) -> np.ndarray:
    """Return a copy of the kernel, or raise where it is none for this domain."""
    found = np.array(kernel, order="C")
    if found.dtype.kind in "biu":
        found = found.astype(np.float64)
    if found.dtype.kind not in "fc":
        raise SpaceError(f"Correlation on {domain}: expected a kernel of numbers, found {found.dtype}")
    if found.dtype.kind == "c" and domain.dtype.kind != "c":
        raise SpaceError(f"Correlation with a kernel of {found.dtype} on {domain}: the arrays must be complex")
    if not np.all(np.isfinite(found)):
        raise SpaceError(f"Correlation on {domain}: the kernel must be finite")
    channels = found.ndim == domain.ndim + 1 and domain.ndim > 0
    if found.ndim != domain.ndim and not channels:
        raise SpaceError(
            f"Correlation on {domain}: expected a kernel of {domain.ndim} axes, or one more with channels, found shape "
            f"{found.shape}"
        )
    if 0 in found.shape[2 * channels :]:
        raise SpaceError(f"Correlation on {domain}: expected a kernel with one tap or more, found shape {found.shape}")
    return found


def _checked_groups(domain: Space, kernel: np.ndarray, groups: int) -> int:
    """Return the number of groups, or raise where the channels of kernel and domain do not fit it."""
    (count,) = _per_axis(domain, "groups", groups, 1)
    channels = domain.shape[0] if domain.ndim == kernel.ndim - 1 else 1
    if kernel.shape[1] * count != channels or kernel.shape[0] % count != 0:
        raise SpaceError(
            f"Correlation on {domain}: expected a kernel of shape (channels_out, channels_in / groups, *extents) with "
            f"{channels} channels_in, and groups that divide channels_out, found shape {kernel.shape} and "
            f"groups={groups}"
        )
    return count


def _per_axis(domain: Space, name: str, value: PerAxis, axes: int, least: int = 1) -> tuple[int, ...]:
    """Return one integer for each axis, or raise."""
    try:
        found = tuple(map(operator.index, value)) if isinstance(value, Iterable) else (operator.index(value),) * axes
    except TypeError:
        found = None
    if found is None or len(found) != axes or min(found, default=least) < least:
        raise SpaceError(
            f"Correlation on {domain}: expected as {name} an integer of at least {least}, or {axes} of them, "
            f"found {value!r}"
        )
    return found


def _pairs(
    domain: Space, padding: Widths, reach: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Return how many zeros stand below and above each axis, or raise."""
    if isinstance(padding, str):
        if padding == "same" and any(s != 1 for s in stride):
            raise SpaceError(f"Correlation on {domain}: padding='same' needs stride 1, found {stride}")
        named = {"valid": [(0, 0) for _ in reach], "same": [(r // 2, r - r // 2) for r in reach]}
        named["full"] = [(r, r) for r in reach]
        if padding not in named:
            raise SpaceError(
                f"Correlation on {domain}: padding is one of {sorted(named)} or numbers, found {padding!r}"
            )
        return tuple(named[padding])
    each = padding if isinstance(padding, Iterable) else (padding,) * len(reach)
    found = [_per_axis(domain, "padding of an axis (below, above)", width, 2, least=0) for width in each]
    if len(found) != len(reach):
        raise SpaceError(
            f"Correlation on {domain}: expected as padding one number or pair for each of {len(reach)} axes, "
            f"found {padding!r}"
        )
    return tuple((below, above) for below, above in found)


@cost.register
def _(operator: Correlation) -> Cost:
    channels = operator.kernel.shape[0] if operator.kernel.ndim > operator.domain.ndim else 1
    taps = operator.kernel.size // max(channels, 1)
    flops = taps * (products(operator.codomain) + reals(operator.codomain))
    return Cost(flops, moved(operator) + operator.kernel.nbytes)
