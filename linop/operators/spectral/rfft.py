r"""The discrete Fourier transform of real arrays.

=========  ==========================================
map        ``(F x)_k = s sum_j exp(-2 pi i j k / n) x_j``; along the last of the axes for k = 0 .. n // 2 only
adjoint    ``(F* y)_j = Re s sum_k exp(+2 pi i j k / n) y_k``, over the same k
matrix     the rows of the Fourier matrix that are stored, real and imaginary parts interleaved
=========  ==========================================

The spectrum of a real array is Hermitian: ``y_(n-k) = conj(y_k)``, and the half that is stored says it all. The half
spectra make a *real* space of complex arrays, whose pairing is ``Re sum conj(y) z`` over what is stored. In there each
stored column counts once, whereas `irfft` counts it once more for its mirror image; so the adjoint is an inverse
transform of the *halved* columns, but for those that are their own mirror images: k = 0, and k = n / 2 where n is even.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np

from linop import arrays
from linop.arguments import checked
from linop.arrays import Array
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.spectral.fft import (
    MIRRORED,
    Norm,
    checked_axes,
    checked_norm,
    from_end,
    roundings_of,
)
from linop.queries.cost import Cost, cost, moved, transform
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@final
class RFFT(LinearOperator):
    """The discrete Fourier transform of real arrays, as half a spectrum; `IRFFT` is the way back.

    Parameters
    ----------
    domain : Space
        A space of real arrays.
    axes : int or sequence of int, optional
        The axes of a vector to transform, each once; all of them by default. The last one named is halved: of n points
        it keeps n // 2 + 1 frequencies.
    norm : {"backward", "ortho", "forward"}, optional
        Which direction carries the factor 1 / n, as in `numpy.fft`.
    codomain : Space, optional
        A real space of complex arrays; Euclidean by default. With the weights of `column_counts`, Parseval's equation
        holds, and the transform with ``norm="ortho"`` keeps lengths.

    Raises
    ------
    SpaceError
        When the arrays are complex, there is no axis to halve, an axis does not exist, is named twice or has no points,
        or the norm is none of these.

    References
    ----------
    H. V. Sorensen, D. L. Jones, M. T. Heideman and C. S. Burrus, Real-valued fast Fourier transform algorithms, IEEE
    Trans. Acoust., Speech, Signal Process. 35 (1987) 849-863.

    Examples
    --------
    >>> from linop import Euclidean
    >>> F = RFFT(Euclidean(4))
    >>> F.codomain
    Euclidean((3,), complex128, field='real')
    >>> F(np.array([1.0, 0, 0, 0])).real.tolist()
    [1.0, 1.0, 1.0]
    >>> F.H(np.array([0, 1j, 0])).tolist()
    [0.0, -1.0, 0.0, 1.0]
    """

    @checked
    def __init__(
        self,
        domain: Space,
        axes: int | Sequence[int] | None = None,
        *,
        norm: Norm = "backward",
        codomain: Space | None = None,
    ) -> None:
        require_arrays("RFFT", domain)
        if domain.dtype.kind != "f":
            raise SpaceError(
                f"RFFT : {domain}: expected real arrays, found {domain.dtype}; FFT transforms complex ones"
            )
        *others, self.last = checked_last("RFFT", domain, axes)
        self.others = tuple(sorted(others))
        self.norm = checked_norm("RFFT", domain, norm)
        self.length = domain.shape[self.last]
        shape = tuple(n // 2 + 1 if axis == self.last else n for axis, n in enumerate(domain.shape))
        dtype = np.result_type(domain.dtype, np.complex64)
        super().__init__(domain, resolve_codomain("RFFT", domain, codomain, shape, dtype))
        self._shares = 1 / column_counts(self.codomain, self.last, self.length)

    @property
    def roundings(self) -> int:
        """See `roundings_of`."""
        return roundings_of(self._lengths)

    @property
    def gain(self) -> float:
        """The norm itself, as that of `FFT`: it is assumed by an array of ones."""
        root = math.sqrt(math.prod(self._lengths))
        return {"backward": root, "ortho": 1.0, "forward": 1 / root}[self.norm]

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that are transformed, the halved one last."""
        return (*self.others, self.last)

    @property
    def _lengths(self) -> tuple[int, ...]:
        return tuple(self.domain.shape[axis] for axis in self.axes)

    def _apply(self, x: Array) -> Array:
        x = arrays.floating(x)
        if 0 in x.shape:  # not every library transforms nothing
            return self.codomain.zeros(self.domain.batch(x), like=arrays.complexified(x))
        return arrays.namespace(x).fft.rfftn(x, axes=from_end(self.axes, self.domain), norm=self.norm)

    def _apply_dual(self, y: Array) -> Array:
        y = arrays.complexified(y)
        xp, norm = arrays.namespace(y), MIRRORED[self.norm]
        if 0 in y.shape:
            return self.domain.zeros(self.codomain.batch(y), like=xp.real(y))
        y = arrays.match(self._shares, like=y) * y
        # irfftn may take for granted that a spectrum is Hermitian, and this one need not be. After the complex
        # transforms, all that is left of that is what irfft does: it ignores the imaginary parts of the columns that
        # count once, as the real part in the adjoint does.
        if self.others:
            y = xp.fft.ifftn(y, axes=from_end(self.others, self.domain), norm=norm)
        return xp.fft.irfft(y, n=self.length, axis=self.last - self.domain.ndim, norm=norm)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.axes, self.norm)

    def __str__(self) -> str:
        return f"RFFT(axes={self.axes}{'' if self.norm == 'backward' else f', norm={self.norm!r}'})"


def checked_last(name: str, space: Space, axes: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return axes, of which the last is to be halved; raise where there is none, or one cannot be transformed."""
    found = checked_axes(name, space, axes)
    if not found:
        raise SpaceError(f"{name} : {space}: expected at least one axis, to be halved, found none")
    return found


def column_counts(half: Space, axis: int, length: int) -> np.ndarray:
    """Return how often each stored column stands in the whole spectrum: once or, with its mirror image, twice.

    Parameters
    ----------
    half : Space
        Of the half spectra.
    axis : int
        The halved axis of their arrays.
    length : int
        How many points the axis has before it is transformed.

    Returns
    -------
    numpy array of ones and twos, that broadcasts to the shape of a half spectrum
    """
    column = np.arange(length // 2 + 1)
    counts = np.where((column == 0) | (2 * column == length), 1.0, 2.0)
    return counts.reshape([-1 if k == axis else 1 for k in range(half.ndim)])


@cost.register
def _(operator: RFFT) -> Cost:
    lengths = [operator.domain.shape[axis] for axis in operator.axes]
    return Cost(transform(operator.domain, math.prod(lengths)), moved(operator))
