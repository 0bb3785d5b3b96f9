"""A sparse matrix.

=========  ==========================================
map        ``x -> a x``
adjoint    ``y -> a^H y``, the conjugate transpose
matrix     a
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from linop import arrays, claims
from linop.arguments import checked, show
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError, ArgumentTypeError, SpaceError
from linop.queries.cost import Cost, cost, moved, products_and_sums
from linop.spaces import Euclidean, Space
from linop.spaces.arrays_only import require_one_process


@final
class SparseMatrix(LinearOperator):
    """The map ``x -> entries @ x`` on vectors in row-major order, for few entries that are not zero.

    The products are scipy's, in host memory. Vectors of other libraries than NumPy go there and back.

    Parameters
    ----------
    entries : scipy.sparse array or matrix, shape (codomain.size, domain.size)
        Real or complex, of any sparse format; copied. Entries that are stored twice are added, integers become float64.
    domain, codomain : Space, optional
        Spaces in one process; Euclidean ones of one axis and the dtype of the entries by default. Vectors with more
        axes are flattened, tuples concatenated.

    Raises
    ------
    TypeError
        When the entries are not sparse; `Matrix` takes dense ones.
    SpaceError
        When the entries are not finite, no matrix between the two spaces, or complex where the spaces are real.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> A = SparseMatrix(csr_array([[1, 2], [0, 1], [1, 0]]))
    >>> A(np.array([1.0, 1.0])).tolist()
    [3.0, 1.0, 1.0]
    >>> A.H(np.array([1.0, 1.0, 1.0])).tolist()
    [2.0, 3.0]
    >>> A
    SparseMatrix(3x2, 4 entries) : Euclidean((2,), float64) -> Euclidean((3,), float64)
    """

    @checked
    def __init__(self, entries: Any, domain: Space | None = None, codomain: Space | None = None) -> None:
        from scipy.sparse import csr_array, issparse

        if not issparse(entries):
            raise ArgumentTypeError(
                f"SparseMatrix: expected entries to be a scipy.sparse array or matrix, found {show(entries)}"
            )
        given: Any = entries
        if given.ndim != 2 or given.dtype.kind not in "biufc":
            raise ArgumentError(
                f"SparseMatrix: expected entries to be a matrix of numbers, found shape {given.shape} of {given.dtype}"
            )
        found: Any = csr_array(given, dtype=np.float64 if given.dtype.kind in "biu" else None, copy=True)
        found.sum_duplicates()
        found.eliminate_zeros()
        rows, columns = found.shape
        domain = Euclidean(columns, found.dtype) if domain is None else domain
        codomain = Euclidean(rows, found.dtype) if codomain is None else codomain
        require_one_process("SparseMatrix", domain, codomain)
        if found.shape != (codomain.size, domain.size):
            raise SpaceError(
                f"SparseMatrix : {domain} -> {codomain}: expected {codomain.size} rows and {domain.size} columns, "
                f"found shape {found.shape}"
            )
        if codomain.field == "real" and found.dtype.kind == "c":
            raise SpaceError(f"SparseMatrix of {found.dtype} : {domain} -> {codomain}: the spaces must be complex")
        if not np.all(np.isfinite(found.data)):
            raise SpaceError(f"SparseMatrix : {domain} -> {codomain}: the entries must be finite")
        super().__init__(domain, codomain)
        for part in (found.data, found.indices, found.indptr):
            part.flags.writeable = False
        self.entries = found
        self._conjugate_transpose = found.conj(copy=False).T

    @property
    def exact(self) -> bool:
        """Exact where the entries have few binary digits."""
        return arrays.has_few_digits(self.entries.data)

    @property
    def roundings(self) -> int:
        """A product and a sum for each entry of a row or column."""
        in_rows, in_columns = np.diff(self.entries.indptr), np.bincount(self.entries.indices)
        return 2 * int(max(in_rows.max(initial=0), in_columns.max(initial=0)))

    @property
    def gain(self) -> float:
        """The root of the largest absolute row sum times the largest absolute column sum."""
        sizes = abs(self.entries).astype(np.float64)
        rows, columns = (sizes.sum(axis=axis).max(initial=0.0) for axis in (1, 0))
        return float(np.sqrt(rows) * np.sqrt(columns))

    @property
    def claims(self) -> Claims:
        """Self-adjoint, where the entries are."""
        symmetric = self.domain == self.codomain and (self.entries != self.entries.conj().T).nnz == 0
        return frozenset({claims.SELF_ADJOINT}) if symmetric else claims.NONE

    def _apply(self, x: Vector) -> Vector:
        return self._multiply(self.entries, x, self.domain, self.codomain)

    def _apply_dual(self, y: Vector) -> Vector:
        return self._multiply(self._conjugate_transpose, y, self.codomain, self.domain)

    @staticmethod
    def _multiply(entries: Any, x: Vector, source: Space, target: Space) -> Vector:
        flat = source.flatten(x)
        batch = flat.shape[:-1]
        columns = arrays.to_numpy(flat).reshape(math.prod(batch), source.size).T
        product = np.ascontiguousarray((entries @ columns).T).reshape(*batch, target.size)
        return target.unflatten(arrays.match(product, like=flat))

    def _key(self) -> tuple[object, ...]:
        places = (part.astype(np.int64).tobytes() for part in (self.entries.indptr, self.entries.indices))
        return (self.domain, self.codomain, self.entries.dtype, *places, self.entries.data.tobytes())

    def __str__(self) -> str:
        rows, columns = self.entries.shape
        return f"SparseMatrix({rows}x{columns}, {self.entries.nnz} entries)"


@cost.register
def _(operator: SparseMatrix) -> Cost:
    stored = operator.entries
    constants = stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes
    return Cost(products_and_sums(operator, stored.nnz), moved(operator) + constants)
