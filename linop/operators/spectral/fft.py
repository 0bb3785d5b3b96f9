r"""The discrete Fourier transform.

=========  ==========================================
map        ``(F x)_k = s sum_j exp(-2 pi i j k / n) x_j`` along each of the axes
adjoint    ``(F* y)_j = s sum_k exp(+2 pi i j k / n) y_k``: the inverse transform, with the factor s of the forward one
matrix     ``s [exp(-2 pi i j k / n)]``, a Kronecker product over the axes
=========  ==========================================

With n the number of points of all axes, s is 1 (``norm="backward"``), 1 / sqrt(n) (``"ortho"``) or 1 / n
(``"forward"``); for the inverse transform the first and the last change places. So the adjoint of a transform is a
transform again: the other direction, and the mirrored norm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, final

from numpy.lib.array_utils import normalize_axis_tuple

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.queries.cost import Cost, cost, moved, transform
from linop.queries.inverse import inverse
from linop.rewriting.engine import rule
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain

Norm = Literal["backward", "ortho", "forward"]
"""Which of the two directions is divided by the number of points: the inverse, both by its root, or the forward."""

MIRRORED: dict[Norm, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The norm with which the other direction has the same factor."""


@final
class FFT(LinearOperator):
    """The discrete Fourier transform of complex arrays; `RFFT` is that of real ones.

    Parameters
    ----------
    domain : Space
        A space of complex arrays, over the complex or the real numbers.
    axes : int or sequence of int, optional
        The axes of a vector to transform, each once; all of them by default.
    norm : {"backward", "ortho", "forward"}, optional
        Which direction carries the factor 1 / n, as in `numpy.fft`. The transform is unitary with ``"ortho"``.
    inverse : bool, optional
        Whether this is the inverse transform.
    codomain : Space, optional
        Arrays of the same shape, with other weights; the domain by default.

    Raises
    ------
    SpaceError
        When the arrays are real, an axis does not exist, is named twice or has no points, or the norm is none of these.

    References
    ----------
    C. Van Loan, Computational Frameworks for the Fast Fourier Transform, SIAM, 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> F = FFT(Euclidean(4, complex))
    >>> F(np.array([1.0, 0, 0, 0])).real.tolist()
    [1.0, 1.0, 1.0, 1.0]
    >>> print(F.H)
    FFT(axes=(0,), norm='forward', inverse=True)
    >>> np.round((F.H @ F)(np.array([1.0, 2, 3, 4])).real).tolist()                      # n times the identity
    [4.0, 8.0, 12.0, 16.0]
    """

    @checked
    def __init__(
        self,
        domain: Space,
        axes: int | Sequence[int] | None = None,
        *,
        norm: Norm = "backward",
        inverse: bool = False,
        codomain: Space | None = None,
    ) -> None:
        require_arrays("FFT", domain)
        if domain.dtype.kind != "c":
            raise SpaceError(
                f"FFT : {domain}: expected complex arrays, found {domain.dtype}; RFFT transforms real ones"
            )
        super().__init__(domain, resolve_codomain("FFT", domain, codomain, domain.shape))
        self.axes = tuple(sorted(checked_axes("FFT", domain, axes)))
        self.norm = checked_norm("FFT", domain, norm)
        self.inverse = bool(inverse)

    @property
    def roundings(self) -> int:
        """See `roundings_of`."""
        return roundings_of(self._lengths)

    @property
    def gain(self) -> float:
        """The norm itself: sqrt(n) times the factor s.

        A transform is a product of log n unitary stages, up to their scale, and what rounds in one is not magnified by
        the next. So its error is measured by the norm, not by the matrix of absolute values.
        """
        norm: float = math.prod(self._lengths) ** self._power
        return norm

    @property
    def claims(self) -> Claims:
        """Unitary with ``norm="ortho"``."""
        return claims.UNITARY if self.norm == "ortho" else claims.NONE

    @property
    def dual(self) -> FFT:
        """The other direction, with the same factor."""
        return self._reversed(MIRRORED[self.norm])

    def inverted(self) -> FFT:
        """Return the inverse operator: the other direction, with the factor that makes their product the identity."""
        return self._reversed(self.norm)

    def times_identity(self, other: LinearOperator) -> LinearOperator | None:
        """Return the product ``self @ other`` as a number times the identity, where it is one; else None.

        It is, where the other one transforms the same axes in the other direction, from a space with the same weights.
        """
        if not isinstance(other, FFT) or (other.axes, other.inverse) != (self.axes, not self.inverse):
            return None
        if other.codomain != self.domain or other.domain != self.codomain:
            return None
        factor: float = math.prod(self._lengths) ** (self._power + other._power)
        return factor * Identity(self.codomain)

    def _reversed(self, norm: Norm) -> FFT:
        return FFT(self.codomain, self.axes, norm=norm, inverse=not self.inverse, codomain=self.domain)

    @property
    def _power(self) -> float:
        """The power of n that the norm of the map is, over all n: s sqrt(n)."""
        if self.norm == "ortho":
            return 0.0
        return 0.5 if (self.norm == "forward") == self.inverse else -0.5

    @property
    def _lengths(self) -> tuple[int, ...]:
        return tuple(self.domain.shape[axis] for axis in self.axes)

    def _apply(self, x: Array) -> Array:
        x = arrays.complexified(x)
        if not self.axes or 0 in x.shape:  # where nothing is to be transformed, not every library takes that
            return arrays.copy(x)
        fft = arrays.namespace(x).fft
        transform = fft.ifftn if self.inverse else fft.fftn
        return transform(x, axes=from_end(self.axes, self.domain), norm=self.norm)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.axes, self.norm, self.inverse)

    def __str__(self) -> str:
        norm = "" if self.norm == "backward" else f", norm={self.norm!r}"
        return f"FFT(axes={self.axes}{norm}{', inverse=True' if self.inverse else ''})"


# -- what all transforms share -----------------------------------------------------------------------------------------


def checked_axes(name: str, space: Space, axes: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return axes as they were named, counted from the first one; raise where one cannot be transformed."""
    try:
        found = normalize_axis_tuple(range(space.ndim) if axes is None else axes, space.ndim)
    except (TypeError, ValueError) as error:
        raise SpaceError(f"{name} : {space}: expected axes of an array with {space.ndim}, each once: {error}") from None
    if any(space.shape[axis] == 0 for axis in found):
        raise SpaceError(f"{name} : {space}: an axis with no points has no transform, found axes {found}")
    return tuple(found)


def checked_norm(name: str, space: Space, norm: Norm) -> Norm:
    """Return a norm; raise where it is none."""
    if norm not in MIRRORED:
        raise SpaceError(f"{name} : {space}: expected a norm among {', '.join(map(repr, MIRRORED))}, found {norm!r}")
    return norm


def from_end(axes: tuple[int, ...], space: Space) -> tuple[int, ...]:
    """Return axes counted from the last one, before which a batch may come."""
    return tuple(axis - space.ndim for axis in axes)


def roundings_of(lengths: Sequence[int]) -> int:
    """Return the roundings of a transform of these lengths.

    In the norm, the error grows by about seven roundings, ``sqrt(2) gamma_4 + mu``, with each of the log2(n) stages
    (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM, 2002, Theorem 24.2). An axis whose
    length has large prime factors is transformed as a convolution: two transforms of up to four times its length, and
    two products with a chirp (L. I. Bluestein, IEEE Trans. Audio Electroacoust. 18 (1970) 451-455). The factor s is one
    more.
    """
    return sum(14 * ((length - 1).bit_length() + 2) + 6 for length in lengths if length > 1) + 1


@cost.register
def _(operator: FFT) -> Cost:
    lengths = [operator.domain.shape[axis] for axis in operator.axes]
    return Cost(transform(operator.domain, math.prod(lengths)), moved(operator))


@inverse.register
def _(operator: FFT) -> LinearOperator:
    return operator.inverted()


@rule(FFT, FFT)
def transforms(left: FFT, right: FFT) -> LinearOperator | None:
    """A Fourier transform and one back are a number."""
    return left.times_identity(right)
