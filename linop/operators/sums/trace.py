"""The sum of the diagonal.

=========  ==========================================
map        ``x -> sum_i x_ii``
adjoint    ``c -> c I``: the number on the diagonal
matrix     one row, the unit matrix flattened
=========  ==========================================
"""

from __future__ import annotations

import numpy as np

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.indexing.restriction import Restriction
from linop.operators.sums.sum_axes import SumAxes
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@checked
def Trace(domain: Space, *, codomain: Space | None = None) -> LinearOperator:
    """Return the trace of square matrices: the sum over their diagonal, taken out.

    Parameters
    ----------
    domain : Space
        Arrays of shape (..., n, n). The axes before the last two are kept: one trace for each matrix.
    codomain : Space, optional
        Arrays of the axes that are kept: numbers, where there are none. By default, Euclidean.

    Returns
    -------
    LinearOperator
        ``SumAxes @ Restriction``.

    Raises
    ------
    SpaceError
        When the last two axes are not of the same length.

    Examples
    --------
    >>> from linop import Euclidean
    >>> A = Trace(Euclidean((2, 2)))
    >>> float(A(np.array([[1.0, 2.0], [3.0, 4.0]])))
    5.0
    >>> A.H(np.array(2.0)).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    require_arrays("Trace", domain)
    if domain.ndim < 2 or domain.shape[-1] != domain.shape[-2]:
        raise SpaceError(f"Trace of {domain}: expected arrays of shape (..., n, n)")
    *kept, n, _ = domain.shape
    place = np.arange(n)
    diagonal = Restriction(domain, (*(slice(None),) * len(kept), place, place))
    codomain = resolve_codomain("Trace", domain, codomain, tuple(kept))
    return SumAxes(diagonal.codomain, -1, codomain=codomain) @ diagonal
