"""A matrix with constant diagonals, through the Fourier transform.

=========  ==========================================
map        ``(T x)_i = sum_j t_(i - j) x_j``
adjoint    ``(T* y)_j = sum_i conj(t_(i - j)) y_i``, which is ``P_n* C* P_m``
matrix     ``P_m* C P_n``: a corner of a circulant C, cut out by paddings P with zeros
=========  ==========================================

An m x n matrix has the diagonals ``t_(1 - n) .. t_(m - 1)``. A circulant with that many rows or more has room for all
of them, without one being wrapped around onto another.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.indexing.padding import Padding
from linop.operators.spectral.circulant import Circulant
from linop.spaces import Euclidean, Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@checked
def Toeplitz(
    column: npt.ArrayLike,
    row: npt.ArrayLike | None = None,
    domain: Space | None = None,
    *,
    codomain: Space | None = None,
) -> LinearOperator:
    """Return the matrix with constant diagonals that has this column and row, as `scipy.linalg.toeplitz`.

    It is applied in O((m + n) log(m + n)) operations. Where the row is the conjugate of the column, and the first entry
    real, the expression claims to be self-adjoint.

    Parameters
    ----------
    column : array_like, shape (m,)
        The first column ``t_0 .. t_(m - 1)``, real or complex.
    row : array_like, shape (n,), optional
        The first row ``t_0, t_-1 .. t_(1 - n)``; its first entry is not looked at. The conjugate of the column by
        default.
    domain : Space, optional
        A space of arrays of shape (n,); Euclidean, of the dtype of column and row, by default.
    codomain : Space, optional
        Arrays of shape (m,); the domain where m = n, else Euclidean, by default.

    Returns
    -------
    LinearOperator
        ``Padding.dual @ Circulant @ Padding``.

    Raises
    ------
    SpaceError
        When the column or row is not finite, has not one axis or no entries, does not fit the spaces, or is complex
        where the arrays are real.

    References
    ----------
    R. H. Chan and M. K. Ng, Conjugate gradient methods for Toeplitz systems, SIAM Review 38 (1996) 427-482.

    Examples
    --------
    >>> from linop import matrix
    >>> T = Toeplitz([1, 2, 3], [1, 4])
    >>> matrix(T).round(12).tolist()
    [[1.0, 4.0], [2.0, 1.0], [3.0, 2.0]]
    >>> print(T)
    Padding((0, 1), zero).H @ Circulant @ Padding((0, 2), zero)
    """
    from scipy.fft import next_fast_len

    down = _checked("column", column)
    right = down.conj() if row is None else _checked("row", row)
    m, n = len(down), len(right)
    dtype = np.result_type(down, right)
    domain = Euclidean(n, dtype) if domain is None else domain
    require_arrays("Toeplitz", domain)
    if domain.shape != (n,):
        raise SpaceError(f"Toeplitz : {domain}: expected a domain of shape ({n},), as long as the row")
    if dtype.kind == "c" and domain.dtype.kind != "c":
        raise SpaceError(f"Toeplitz of {dtype} : {domain}: the arrays must be complex")
    codomain = resolve_codomain("Toeplitz", domain, codomain, (m,))
    length = next_fast_len(m + n - 1, real=dtype.kind == "f")
    ring = Euclidean(length, domain.dtype, domain.field)
    circulant = Circulant(np.concatenate([down, np.zeros(length - m - n + 1, dtype), right[:0:-1]]), ring)
    inward, outward = (Padding(space, (0, length - space.shape[0]), codomain=ring) for space in (domain, codomain))
    return outward.dual @ circulant @ inward


def _checked(name: str, entries: npt.ArrayLike) -> np.ndarray:
    """Return a column or row as an array of floating numbers; raise where it is none."""
    found = np.asarray(entries)
    if found.dtype.kind in "biu":
        found = found.astype(np.float64)
    if found.dtype.kind not in "fc" or found.ndim != 1 or found.size == 0:
        raise SpaceError(
            f"Toeplitz: expected a {name} of one or more numbers, found shape {found.shape} of {found.dtype}"
        )
    if not np.all(np.isfinite(found)):
        raise SpaceError(f"Toeplitz: the {name} must be finite")
    return found
