"""A dense matrix.

=========  ==========================================
map        ``x -> a x``
adjoint    ``y -> a^H y``, the conjugate transpose
matrix     a
=========  ==========================================
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
import numpy.typing as npt

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError, SpaceError
from linop.numbers import matrix_product
from linop.queries.cost import Cost, cost, moved, products_and_sums
from linop.queries.inverse import inverse, unknown_inverse
from linop.rewriting.constants import Constants, constants
from linop.rewriting.engine import rule
from linop.spaces import Euclidean, Space
from linop.spaces.arrays_only import require_one_process


@final
class Matrix(LinearOperator):
    """The map ``x -> entries @ x`` on vectors in row-major order.

    Parameters
    ----------
    entries : array_like, shape (codomain.size, domain.size)
        Real or complex; copied. Integers become float64.
    domain, codomain : Space, optional
        Spaces in one process; Euclidean ones of one axis and the dtype of the entries by default. Vectors with more
        axes are flattened, tuples concatenated.

    Raises
    ------
    SpaceError
        When the entries are no matrix between the two spaces, or complex where the spaces are real.

    Examples
    --------
    >>> A = Matrix([[1, 2], [0, 1], [1, 0]])
    >>> A(np.array([1.0, 1.0])).tolist()
    [3.0, 1.0, 1.0]
    >>> A.H(np.array([1.0, 1.0, 1.0])).tolist()
    [2.0, 3.0]
    """

    @checked
    def __init__(self, entries: npt.ArrayLike, domain: Space | None = None, codomain: Space | None = None) -> None:
        found = np.array(entries)
        if found.dtype.kind in "biu":
            found = found.astype(np.float64)
        if found.ndim != 2 or found.dtype.kind not in "fc":
            raise ArgumentError(
                f"Matrix: expected entries to be a matrix of numbers, found shape {found.shape} of {found.dtype}"
            )
        rows, columns = found.shape
        domain = Euclidean(columns, found.dtype) if domain is None else domain
        codomain = Euclidean(rows, found.dtype) if codomain is None else codomain
        require_one_process("Matrix", domain, codomain)
        if found.shape != (codomain.size, domain.size):
            raise SpaceError(
                f"Matrix : {domain} -> {codomain}: expected {codomain.size} rows and {domain.size} columns, "
                f"found shape {found.shape}"
            )
        if codomain.field == "real" and found.dtype.kind == "c":
            raise SpaceError(f"Matrix of {found.dtype} : {domain} -> {codomain}: the spaces must be complex")
        super().__init__(domain, codomain)
        found.flags.writeable = False
        self.entries: np.ndarray[Any, Any] = found
        self._exact = arrays.has_few_digits(found)

    @property
    def exact(self) -> bool:
        """Exact where the entries have few binary digits."""
        return self._exact

    @property
    def roundings(self) -> int:
        """A product and a sum for each entry of a row or column."""
        return 2 * max(self.domain.size, self.codomain.size)

    @property
    def gain(self) -> float:
        """The root of the largest absolute row sum times the largest absolute column sum."""
        sizes = np.abs(self.entries)
        rows, columns = (sizes.sum(axis=axis, dtype=np.float64).max(initial=0.0) for axis in (1, 0))
        return float(np.sqrt(rows) * np.sqrt(columns))

    @property
    def claims(self) -> Claims:
        """Self-adjoint, where the entries are."""
        symmetric = self.domain == self.codomain and np.array_equal(self.entries, self.entries.conj().T)
        return frozenset({claims.SELF_ADJOINT}) if symmetric else claims.NONE

    def _apply(self, x: Vector) -> Vector:
        return self._multiply(self.entries, x, self.domain, self.codomain)

    def _apply_dual(self, y: Vector) -> Vector:
        return self._multiply(self.entries.conj().T, y, self.codomain, self.domain)

    @staticmethod
    def _multiply(entries: np.ndarray, x: Vector, source: Space, target: Space) -> Vector:
        flat = source.flatten(x)
        xp, weights = arrays.namespace(flat), arrays.match(entries.T, like=flat)
        if type(flat) is np.ndarray and flat.ndim == 2 and flat.flags.f_contiguous:  # vectors side by side stay so
            return target.unflatten((weights.T @ flat.T).T)
        return target.unflatten(xp.matmul(flat, weights))

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.entries.dtype, self.entries.tobytes())

    def __str__(self) -> str:
        return f"Matrix({self.entries.shape[0]}x{self.entries.shape[1]})"


@cost.register
def _(operator: Matrix) -> Cost:
    return Cost(products_and_sums(operator, operator.entries.size), moved(operator) + operator.entries.nbytes)


@inverse.register
def _(operator: Matrix) -> LinearOperator:
    if operator.domain.size != operator.codomain.size:
        return unknown_inverse(operator)  # raises
    try:
        entries = np.linalg.inv(operator.entries)
    except np.linalg.LinAlgError:
        raise SpaceError(f"{operator!r}: a singular matrix has no inverse") from None
    return Matrix(entries, operator.codomain, operator.domain)


@rule(Matrix, Matrix)
def matrices(left: Matrix, right: Matrix) -> LinearOperator | None:
    """The product of two matrices, where it is no larger than they are."""
    entries = matrix_product(left.entries, right.entries, left.codomain)
    return None if entries is None else Matrix(entries, right.domain, left.codomain)


@constants.register
def _(operator: Matrix) -> Constants:
    return Constants(Matrix, operator.entries, lambda entries: Matrix(entries, operator.domain, operator.codomain))
