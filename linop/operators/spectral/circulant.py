r"""Periodic convolution with a kernel of full size.

=========  ==========================================
map        ``(C x)_j = sum_k c_((j - k) mod n) x_k`` along all axes: ``F^-1 diag(F c) F x``
adjoint    ``C* = F^-1 diag(conj(F c)) F``: the kernel ``conj(c_(-j mod n))``
matrix     circulant, with first column c; block circulant with circulant blocks in more dimensions
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
import numpy.typing as npt

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.numbers import products as finite_products
from linop.operators.spectral.fft import roundings_of
from linop.queries.cost import Cost, cost, moved, reals, transform
from linop.queries.inverse import inverse
from linop.rewriting.engine import rule
from linop.spaces import Euclidean, Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@final
class Circulant(LinearOperator):
    """The convolution of periodic arrays with a kernel of their own size, through the Fourier transform.

    Parameters
    ----------
    column : array_like, shape of a vector
        The kernel c: the response to a one at index zero. Real or complex; integers become float64.
    domain : Space, optional
        A space of arrays; Euclidean of the shape and dtype of the column by default.
    codomain : Space, optional
        The same arrays, with other weights; the domain by default.

    Attributes
    ----------
    spectrum : numpy array, shape of a vector
        The eigenvalues ``F c``, in double precision or better.

    Raises
    ------
    SpaceError
        When the column is not finite, has no axis or no entries, is of another shape than a vector, or complex where
        the arrays are real.

    References
    ----------
    P. J. Davis, Circulant Matrices, Wiley, 1979.

    Examples
    --------
    >>> C = Circulant([1.0, 2.0, 0.0])
    >>> np.round(C(np.array([1.0, 0.0, 0.0])), 12).tolist()
    [1.0, 2.0, 0.0]
    >>> np.round(C.H(np.array([1.0, 0.0, 0.0])), 12).tolist()
    [1.0, 0.0, 2.0]
    """

    @checked
    def __init__(self, column: npt.ArrayLike, domain: Space | None = None, *, codomain: Space | None = None) -> None:
        found = np.asarray(column)
        if found.dtype.kind in "biu":
            found = found.astype(np.float64)
        if found.dtype.kind not in "fc" or found.size == 0 or found.ndim == 0:
            raise SpaceError(f"Circulant: expected an array of numbers, found shape {found.shape} of {found.dtype}")
        domain = Euclidean(found.shape, found.dtype) if domain is None else domain
        require_arrays("Circulant", domain)
        super().__init__(domain, resolve_codomain("Circulant", domain, codomain, domain.shape))
        if found.shape != domain.shape:
            raise SpaceError(f"Circulant : {domain}: expected a column of shape {domain.shape}, found {found.shape}")
        if found.dtype.kind == "c" and domain.dtype.kind != "c":
            raise SpaceError(f"Circulant of {found.dtype} : {domain}: the arrays must be complex")
        if not np.all(np.isfinite(found)):
            raise SpaceError(f"Circulant : {domain}: the column must be finite")
        self._real = found.dtype.kind == "f"
        spectrum = np.fft.fftn(found.astype(np.result_type(found.dtype, np.float64)))
        if np.array_equal(found, _mirrored(found)):
            spectrum.imag = 0  # as in exact arithmetic
        self._keep(spectrum)

    def _keep(self, spectrum: np.ndarray) -> None:
        spectrum = spectrum + 0  # of -0 makes 0, so that equal numbers have equal bytes
        spectrum.flags.writeable = False
        self.spectrum: np.ndarray[Any, Any] = spectrum

    @property
    def roundings(self) -> int:
        """Those of two transforms, and of a complex product between them."""
        return 2 * roundings_of(self.domain.shape) + 3

    @property
    def gain(self) -> float:
        """The norm itself, the largest absolute eigenvalue; see `FFT.gain`."""
        return float(np.abs(self.spectrum).max())

    @property
    def claims(self) -> Claims:
        """Self-adjoint where the column is Hermitian; positive where no eigenvalue is negative."""
        if self.domain != self.codomain or np.any(self.spectrum.imag):
            return claims.NONE
        return claims.SYMMETRY if np.all(self.spectrum.real >= 0) else frozenset({claims.SELF_ADJOINT})

    @property
    def dual(self) -> Circulant:
        """The circulant of the conjugate eigenvalues."""
        spectrum = self.spectrum.conj() if np.any(self.spectrum.imag) else self.spectrum
        return self._of(spectrum, self.codomain, self.domain)

    def inverted(self) -> Circulant:
        """Return the inverse operator, the circulant of the reciprocal eigenvalues.

        Raises
        ------
        SpaceError
            When an eigenvalue is zero, or no more than the roundings behind it.
        """
        size = np.abs(self.spectrum)
        # a transform's error has about the same size in all entries, and is measured by their root mean square
        largest = float(size.max()) or 1.0
        mean = largest * math.sqrt(float(np.mean((size / largest) ** 2)))
        noise = roundings_of(self.domain.shape) * float(np.finfo(size.dtype).eps) * mean
        if size.min() <= noise:
            place = tuple(int(k) for k in np.unravel_index(np.argmin(size), size.shape))
            raise SpaceError(
                f"{self!r}: a circulant whose spectrum has a zero has no inverse; found {self.spectrum[place]:.3g} "
                f"at frequency {place}, and up to {noise:.3g} is rounding"
            )
        return self._of(1 / self.spectrum, self.codomain, self.domain)

    def composed(self, other: Circulant) -> Circulant:
        """Return the product ``self @ other``: the circulant of the products of the eigenvalues.

        Raises
        ------
        SpaceError
            When the domain is not the codomain of the other one.
        """
        if self.domain != other.codomain:
            raise SpaceError(f"cannot compose {self!r} with {other!r}: the spaces differ")
        result = self._of(self.spectrum * other.spectrum, other.domain, self.codomain)
        result._real = self._real and other._real
        return result

    def _of(self, spectrum: np.ndarray, domain: Space, codomain: Space) -> Circulant:
        """Return the circulant with these eigenvalues."""
        other = object.__new__(Circulant)
        LinearOperator.__init__(other, domain, codomain)
        other._real = self._real
        other._keep(spectrum)
        return other

    def _apply(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        axes = tuple(range(-self.domain.ndim, 0))
        if self._real and arrays.kind(x) == "real":
            x = arrays.floating(x)
            if 0 in x.shape:  # not every library transforms nothing
                return arrays.copy(x)
            transform = xp.fft.rfftn(x, axes=axes)
            half = self.spectrum[..., : transform.shape[-1]]
            return xp.fft.irfftn(arrays.match(half, like=transform) * transform, s=self.domain.shape, axes=axes)
        x = arrays.complexified(x)
        if 0 in x.shape:
            return arrays.copy(x)
        transform = xp.fft.fftn(x, axes=axes)
        return xp.fft.ifftn(arrays.match(self.spectrum, like=transform) * transform, axes=axes)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self._real, self.spectrum.dtype, self.spectrum.tobytes())


def _mirrored(column: np.ndarray) -> np.ndarray:
    """Return ``conj(c_(-j mod n))``, the column of the adjoint."""
    every = tuple(range(column.ndim))
    return np.roll(np.flip(column), (1,) * column.ndim, every).conj()


@cost.register
def _(operator: Circulant) -> Cost:
    """Count a transform, a product with the spectrum, and a transform back; each reads and writes a vector."""
    space = operator.domain
    flops = 2 * transform(space, math.prod(space.shape)) + 3 * reals(space)
    return Cost(flops, 3 * moved(operator) + operator.spectrum.nbytes)


@inverse.register
def _(operator: Circulant) -> LinearOperator:
    return operator.inverted()


@rule(Circulant, Circulant)
def circulants(left: Circulant, right: Circulant) -> LinearOperator | None:
    """Two periodic convolutions are one."""
    return None if finite_products(left.spectrum, right.spectrum, left.domain) is None else left.composed(right)
