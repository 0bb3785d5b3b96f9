"""The inverse of the Fourier transform of real arrays, on all half spectra.

=========  ==========================================
map        ``x_j = s Re sum_k c_k exp(+2 pi i j k / n) y_k``, k = 0 .. n // 2; c is 1 for k = 0 and k = n / 2, else 2
adjoint    ``y_k = s c_k sum_j exp(-2 pi i j k / n) x_j``: a transform of real arrays, and a diagonal
matrix     ``F* C``, with F that of `RFFT` and C = diag(c)
=========  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.spectral.fft import MIRRORED, Norm, checked_norm
from linop.operators.spectral.rfft import RFFT, checked_last, column_counts
from linop.spaces import Space
from linop.spaces.arrays_only import require_real_space_of_complex, resolve_codomain


@checked
def IRFFT(
    domain: Space,
    length: int | None = None,
    axes: int | Sequence[int] | None = None,
    *,
    norm: Norm = "backward",
    codomain: Space | None = None,
) -> LinearOperator:
    """Return the transform of half spectra to real arrays that undoes `RFFT`, as `numpy.fft.irfftn`.

    It is a linear map of all half spectra, also of those that no real array has: the imaginary parts of columns that
    are their own mirror images do not count.

    Parameters
    ----------
    domain : Space
        A real space of complex arrays, such as the codomain of an `RFFT`.
    length : int, optional
        How many points n the halved axis gets; its array has n // 2 + 1 columns. The even number by default.
    axes : int or sequence of int, optional
        The axes of a vector to transform, each once, the halved one last; all of them by default.
    norm : {"backward", "ortho", "forward"}, optional
        Which direction carries the factor 1 / n, as in `numpy.fft`: the norm of the `RFFT` that is undone.
    codomain : Space, optional
        A space of real arrays; Euclidean by default.

    Raises
    ------
    SpaceError
        When the domain is no real space of complex arrays, the length does not belong to it, no axis is named, an axis
        does not exist, is named twice or has no points, or the norm is none of these.

    Examples
    --------
    >>> from linop import Euclidean
    >>> F = RFFT(Euclidean(5))
    >>> A = IRFFT(F.codomain, 5)
    >>> np.round((A @ F)(np.arange(5.0)), 12).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    >>> print(A)
    RFFT(axes=(0,), norm='forward').H @ Diagonal([1.0, 2.0, 2.0])
    """
    require_real_space_of_complex("IRFFT", domain)
    found = checked_last("IRFFT", domain, axes)
    columns = domain.shape[found[-1]]
    length = 2 * (columns - 1) if length is None else length
    if length < 1 or length // 2 + 1 != columns:
        odd = 2 * columns - 1
        expected = f"{odd - 1} or {odd}" if columns > 1 else "1"
        raise SpaceError(f"IRFFT : {domain}: {columns} columns come of {expected} points, found length {length}")
    shape = tuple(length if axis == found[-1] else n for axis, n in enumerate(domain.shape))
    codomain = resolve_codomain("IRFFT", domain, codomain, shape, domain.coordinate_dtype)
    forward = RFFT(codomain, found, norm=MIRRORED[checked_norm("IRFFT", domain, norm)], codomain=domain)
    counts = np.broadcast_to(column_counts(domain, found[-1], length), domain.shape)
    return forward.dual @ Diagonal(counts, domain)
