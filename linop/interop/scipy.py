"""To and from `scipy.sparse.linalg.LinearOperator`: its solvers run on our operators, its operators join our algebra.

SciPy knows vectors of numbers, and no spaces: a vector is handed over as its coordinates. Nor does it know weights. Its
adjoint is the conjugate transpose of the matrix, which is `LinearOperator.dual` here; on weighted spaces, ``A.H`` is
another operator. So `scipy.sparse.linalg.lsqr` minimises the residual without weights, and ``eigsh`` wants
``A.dual == A``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import ArgumentTypeError
from linop.interop.columns import Columns
from linop.interop.foreign import ForeignOperator
from linop.spaces import Euclidean, Space

if TYPE_CHECKING:
    import scipy.sparse.linalg


@checked
def to_scipy(operator: LinearOperator) -> scipy.sparse.linalg.LinearOperator[Any]:
    """Return an operator as SciPy's: a map of coordinates.

    A matrix of columns is mapped in one call, as a batch. As with SciPy's own, the finer of two precisions is kept, and
    a real operator maps the real and the imaginary parts of complex vectors.

    Parameters
    ----------
    operator : LinearOperator
        Any operator, between any spaces: products of spaces, real spaces of complex arrays, and spaces that are spread
        over processes. On these, calls are collective, and every process gets and gives all coordinates.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (codomain.size, domain.size)
        ``rmatvec`` is the adjoint with respect to `Space.dot`, ``operator.dual``: weights do not enter.

    Examples
    --------
    >>> from linop import Diagonal
    >>> from scipy.sparse.linalg import cg
    >>> x, info = cg(to_scipy(Diagonal([[1.0, 2.0], [4.0, 8.0]])), np.ones(4))
    >>> np.round(x, 10).tolist(), info
    ([1.0, 0.5, 0.25, 0.125], 0)
    """
    import scipy.sparse.linalg

    forward, backward = Columns(operator), Columns(operator.dual)
    found: Any = scipy.sparse.linalg.LinearOperator(
        forward.shape,
        matvec=forward.vector,
        rmatvec=backward.vector,
        matmat=forward.matrix,
        rmatmat=backward.matrix,
        dtype=forward.dtype,
    )
    found.linop = operator  # for the way back
    return found  # type: ignore[no-any-return]


@checked
def from_scipy(
    operator: Any,
    domain: Space | None = None,
    codomain: Space | None = None,
    *,
    exact: bool = False,
    name: str | None = None,
) -> LinearOperator:
    """Return an operator of SciPy's as one of ours, on the coordinates of two spaces.

    Parameters
    ----------
    operator : scipy.sparse.linalg.LinearOperator, sparse array, or numpy array of shape (m, n)
        Whatever `scipy.sparse.linalg.aslinearoperator` takes. Not copied.
    domain, codomain : Space, optional
        Spaces of n and m coordinates. By default, Euclidean ones of the operator's dtype (float64 for integers); where
        one is given, the other is the same if it has as many coordinates, and else Euclidean of its coordinates' dtype.
    exact : bool, optional
        Claim that small integers stay exact.
    name : str, optional
        What errors and printed expressions call it; its class and shape by default.

    Returns
    -------
    LinearOperator
        A `ForeignOperator`. Of what `to_scipy` made, the original, unless other spaces are asked for.

    Raises
    ------
    TypeError
        When `operator` is nothing that SciPy takes for a linear operator, or a space is none.
    SpaceError
        When it has another shape than matrices between the two spaces, or is complex where they are real.
    NotImplementedError
        When the adjoint is applied, and `operator` has no ``rmatvec``.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> A = from_scipy(csr_array([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> A
    csr_array(3x2) : Euclidean((2,), float64) -> Euclidean((3,), float64)
    >>> (A.H @ A)(np.ones(2)).tolist()
    [4.0, 7.0]
    """
    from scipy.sparse.linalg import aslinearoperator

    given = getattr(operator, "linop", None)
    if isinstance(given, LinearOperator) and domain in (None, given.domain) and codomain in (None, given.codomain):
        return given
    try:
        found: Any = aslinearoperator(operator)
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(f"from_scipy: expected what SciPy takes for an operator, found {operator!r}") from error
    for space in (domain, codomain):
        if not isinstance(space, Space | None):
            raise ArgumentTypeError(f"from_scipy: expected a Space, found {space!r}")
    rows, columns = found.shape
    dtype = np.dtype(found.dtype) if np.dtype(found.dtype).kind in "fc" else np.dtype(np.float64)
    domain = _like(codomain, columns, dtype) if domain is None else domain
    codomain = _like(domain, rows, dtype) if codomain is None else codomain
    name = f"{type(operator).__name__.lstrip('_')}({rows}x{columns})" if name is None else name
    return ForeignOperator(found, domain, codomain, exact=exact, name=name)


def _like(given: Space | None, size: int, dtype: np.dtype[Any]) -> Space:
    """Return a space of so many coordinates: the other one that was given, where it fits."""
    if given is None:
        return Euclidean(size, dtype)
    return given if given.size == size else Euclidean(size, given.coordinate_dtype)
