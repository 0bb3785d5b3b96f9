"""The outer product of two vectors: a matrix of rank one.

=========  ==========================================
map        ``x -> u dot(v, x)``
adjoint    ``y -> v dot(u, y)``
matrix     ``u v^H``
=========  ==========================================
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.matrices.functional import Functional
from linop.spaces import Euclidean, Space
from linop.spaces.arrays_only import require_arrays


@checked
def Outer(
    u: npt.ArrayLike, v: npt.ArrayLike, domain: Space | None = None, codomain: Space | None = None
) -> LinearOperator:
    """Return the map ``x -> u dot(v, x)``, as the product of a functional's adjoint and a functional.

    The pairing is `Space.dot`, also in spaces with weights; to pair by `Space.inner`, compose with the Riesz map:
    ``Outer(u, v, X, Y) @ X.riesz``. ``H`` follows the weights, as everywhere. On real spaces of complex arrays the
    pairing is the real part.

    Parameters
    ----------
    u, v : array_like, of the shapes of a vector of the codomain and of the domain
        Real or complex; copied. Integers become float64.
    domain, codomain : Space, optional
        Spaces of arrays: that of v, and that of u. By default, Euclidean of the dtype that holds both vectors,
        or of the dtype and field of the space that is given.

    Raises
    ------
    SpaceError
        When a vector is none of its space, or the two spaces have different fields.

    Examples
    --------
    >>> A = Outer([1.0, 2.0], [3.0, 4.0, 5.0])
    >>> print(A)
    Functional([1.0, 2.0]).H @ Functional([3.0, 4.0, 5.0])
    >>> A(np.array([1.0, 0.0, 1.0])).tolist()
    [8.0, 16.0]
    """
    left, right = _numbers(u), _numbers(v)
    require_arrays("Outer", *(space for space in (codomain, domain) if space is not None))
    known = codomain or domain or Euclidean((), np.result_type(left, right))
    codomain = codomain or Euclidean(left.shape, known.dtype, known.field)
    domain = domain or Euclidean(right.shape, known.dtype, known.field)
    if codomain.field != domain.field:
        raise SpaceError(f"Outer : {domain} -> {codomain}: the two fields must be the same")
    scalars = Euclidean((), np.result_type(codomain.coordinate_dtype, domain.coordinate_dtype))
    return Functional(left, codomain, codomain=scalars).dual @ Functional(right, domain, codomain=scalars)


def _numbers(vector: npt.ArrayLike) -> np.ndarray:
    """Return a vector of numbers as an array of a floating type."""
    found = np.asarray(vector)
    if found.dtype.kind not in "biufc":
        raise SpaceError(f"Outer: expected numbers, found {found.dtype}")
    return found.astype(np.float64) if found.dtype.kind in "biu" else found
