"""Periodic arrays shifted by any number of entries, whole or not.

=========  ==========================================
map        that of the trigonometric polynomial through the entries, moved by s
adjoint    the shift by -s
matrix     circulant, with the eigenvalues ``exp(-2 pi i f s)`` at the frequencies f
=========  ==========================================

At the highest frequency of an even number of entries, which stands for +1/2 and -1/2 at once, the eigenvalue is their
mean, ``cos(pi s)``: so real arrays stay real. Then the operator is unitary but for that frequency.
"""

from __future__ import annotations

from numbers import Real

import numpy as np

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.axes import checked_axes
from linop.operators.spectral.circulant import Circulant
from linop.spaces import Space


@checked
def FractionalShift(domain: Space, shift: float, axis: int = -1) -> LinearOperator:
    """Return the shift of a periodic array by any number of entries: a `Circulant`.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more, with entries.
    shift : float
        s, in entries; positive ones move towards higher indices. For whole numbers, it is `Roll` up to rounding.
    axis : int, optional
        Along which.

    Raises
    ------
    SpaceError
        When the axis does not exist or the array is empty, or the shift is not finite.

    Notes
    -----
    Pad x before the shift, where nothing is to come in at the other end.

    Examples
    --------
    >>> from linop import Euclidean
    >>> t = np.arange(8)
    >>> wave = np.cos(2 * np.pi * t / 8)
    >>> bool(np.allclose(FractionalShift(Euclidean(8), 0.5)(wave), np.cos(2 * np.pi * (t - 0.5) / 8)))
    True
    """
    (along,) = checked_axes("FractionalShift", domain, (axis,))
    column = np.zeros(domain.shape)
    line = tuple(slice(None) if k == along else 0 for k in range(domain.ndim))
    column[line] = np.fft.ifft(shift_spectrum("FractionalShift", domain, shift, axis)).real
    return Circulant(column, domain)


def shift_spectrum(name: str, domain: Space, shift: float, axis: int) -> np.ndarray:
    """Return the eigenvalues of a shift along an axis; raise where the arguments do not fit."""
    (along,) = checked_axes(name, domain, (axis,))
    if not (isinstance(shift, Real) and np.isfinite(shift)):
        raise SpaceError(f"{name} on {domain}: expected a finite shift, found {shift!r}")
    if 0 in domain.shape:
        raise SpaceError(f"{name} on {domain}: expected arrays with entries")
    n = domain.shape[along]
    spectrum = np.exp(-2j * np.pi * np.fft.fftfreq(n) * float(shift))
    if n % 2 == 0:
        spectrum[n // 2] = np.cos(np.pi * float(shift))
    return spectrum
