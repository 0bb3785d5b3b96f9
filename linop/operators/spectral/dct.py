r"""The discrete cosine transform (type II, orthonormal).

=========  ==========================================
map        :math:`y_k = c_k \sum_j x_j \cos(\pi k (2 j + 1) / 2 n)`, :math:`c_0 = \sqrt{1/n}`, else :math:`\sqrt{2/n}`
adjoint    its inverse, the transform of type III
matrix     orthogonal
=========  ==========================================

It is the Fourier transform of an array followed by its mirror image, turned by half an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from linop import arrays
from linop.arguments import checked, renamed
from linop.arrays import Array
from linop.claims import UNITARY
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.axes import checked_axes
from linop.operators.spectral.fft import roundings_of
from linop.spaces import Space
from linop.spaces.arrays_only import resolve_codomain


@final
class DCT(LinearOperator):
    """The orthonormal discrete cosine transform of type II along some axes, or its inverse. Unitary.

    Parameters
    ----------
    domain : Space
        A space of arrays with entries.
    axes : int or sequence of int, optional
        Along which; all by default.
    inverse : bool, optional
        Whether to take the inverse, the transform of type III.
    codomain : Space, optional
        The same arrays, with other weights; the domain by default.

    Raises
    ------
    SpaceError
        When the domain has no such axes, one of these is empty, or the codomain has another shape.

    References
    ----------
    G. Strang, The discrete cosine transform, SIAM Rev. 41 (1999) 135.

    Examples
    --------
    >>> from linop import Euclidean
    >>> C = DCT(Euclidean(4))
    >>> C(np.ones(4)).round(12).tolist(), C.H(C(np.arange(4.0))).round(12).tolist()
    ([2.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 3.0])
    """

    claims = UNITARY

    @renamed(inverted="inverse")
    @checked
    def __init__(
        self,
        domain: Space,
        axes: int | Sequence[int] | None = None,
        *,
        inverse: bool = False,
        codomain: Space | None = None,
    ) -> None:
        self.axes = tuple(sorted(checked_axes("DCT", domain, axes)))
        self.inverse = inverse
        if any(domain.shape[axis] == 0 for axis in self.axes):
            raise SpaceError(f"DCT on {domain}: expected entries along axes {self.axes}")
        super().__init__(domain, resolve_codomain("DCT", domain, codomain, domain.shape))

    @property
    def roundings(self) -> int:
        """Those of Fourier transforms of twice the lengths, and two products for each axis."""
        return roundings_of(tuple(2 * self.domain.shape[axis] for axis in self.axes)) + 6 * len(self.axes)

    @property
    def gain(self) -> float:
        """The norm is one; Fourier transforms on the way make errors of twice the size, for each axis."""
        return 2.0 ** len(self.axes)

    @property
    def dual(self) -> DCT:
        """The inverse."""
        return DCT(self.codomain, self.axes, inverse=not self.inverse, codomain=self.domain)

    def _apply(self, x: Array) -> Array:
        x = arrays.floating(x)
        if 0 in x.shape:  # where nothing is to be transformed, not every library takes that
            return arrays.copy(x)
        for axis in self.axes:
            x = (_inverse if self.inverse else _forward)(x, axis - self.domain.ndim)
        return arrays.copy(x) if not self.axes else x

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.axes, self.inverse)

    def __str__(self) -> str:
        return f"DCT({', '.join(map(str, self.axes))}){'^-1' if self.inverse else ''}"


def _forward(x: Array, axis: int) -> Array:
    """Transform along an axis counted from the end."""
    xp, n = arrays.namespace(x), x.shape[axis]
    doubled = xp.concat([x, xp.flip(x, axis=axis)], axis=axis)
    spectrum = xp.fft.fft(arrays.complexified(doubled), axis=axis)[_cut(n, axis)]
    k = np.arange(n)
    factors = 0.5 * _scale(n) * np.exp(-0.5j * np.pi * k / n)
    return _fielded(spectrum * _along(factors, axis, spectrum), x)


def _inverse(y: Array, axis: int) -> Array:
    """Transform back: ``sum_k c_k y_k cos(...)``, half the sum of a Fourier transform and an inverse one."""
    xp, n = arrays.namespace(y), y.shape[axis]
    k = np.arange(n)
    turned = _scale(n) * np.exp(0.5j * np.pi * k / n)
    y_complex = arrays.complexified(y)
    zeros = xp.zeros_like(y_complex)

    def halves(factors: np.ndarray) -> Array:
        return xp.concat([y_complex * _along(factors, axis, y_complex), zeros], axis=axis)

    upper = 2 * n * xp.fft.ifft(halves(turned), axis=axis)[_cut(n, axis)]
    if arrays.kind(y) == "real":
        return xp.real(upper)
    lower = xp.fft.fft(halves(np.conj(turned)), axis=axis)[_cut(n, axis)]
    return 0.5 * (upper + lower)


def _scale(n: int) -> np.ndarray:
    """Return the c_k."""
    return np.sqrt(np.where(np.arange(n) == 0, 1.0, 2.0) / n)


def _along(factors: np.ndarray, axis: int, like: Array) -> Array:
    """Return factors along an axis that is counted from the end."""
    return arrays.match(factors.reshape((-1,) + (1,) * (-axis - 1)), like=like)


def _cut(n: int, axis: int) -> tuple[Any, ...]:
    """Return the index of the first n entries along an axis that is counted from the end."""
    return (..., slice(n), *(slice(None),) * (-axis - 1))


def _fielded(y: Array, x: Array) -> Array:
    """Return the real part, where x is real."""
    return arrays.namespace(y).real(y) if arrays.kind(x) == "real" else y
