"""The diagonal of the matrix of an operator: by structure where that is known, else by basis vectors in blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from linop import arrays
from linop.arguments import checked
from linop.arrays import Vector
from linop.blocks.block import Block
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose
from linop.core.operator import LinearOperator
from linop.core.reweight import Reweight
from linop.core.riesz import Riesz
from linop.core.scale import Scale
from linop.core.sum import Sum
from linop.errors import SpaceError
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.matrices.matrix import Matrix
from linop.operators.matrices.sparse_matrix import SparseMatrix
from linop.queries.claims import is_diagonal
from linop.queries.weights import is_real_of_complex
from linop.query import Answer, query
from linop.spaces import Space

BLOCK = 2**20
"""How many coordinates the vectors of one block have together, at most (of a single one, as many as it has)."""


@checked
@query
def diagonal(operator: LinearOperator) -> np.ndarray:
    """Return the diagonal of the matrix of an operator, in the coordinates of its space.

    Those of sums, multiples, adjoints, products with diagonals, block and Kronecker products follow from their parts;
    what claims to be diagonal is applied once, to ones. Any other operator is applied to the basis vectors, in blocks
    of a bounded number of coordinates.

    Parameters
    ----------
    operator : LinearOperator
        From a space to itself; the weights do not matter.

    Returns
    -------
    numpy array, shape (domain.size,)
        The same on every process, where the space is spread over several.

    Raises
    ------
    SpaceError
        When domain and codomain have other vectors.

    Examples
    --------
    >>> from linop import Diagonal, Matrix
    >>> diagonal(Diagonal([1.0, 2.0]) + 2 * Matrix([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [3.0, 10.0]
    """
    require_square("diagonal", operator)
    space = operator.domain
    if acts_on_coordinates(operator):
        return operator.codomain.to_coordinates(operator(ones(space)))
    found = np.zeros(space.size, operator.codomain.coordinate_dtype)
    for places in blocks(space.size):
        rows = np.arange(len(places))
        basis = np.zeros((len(places), space.size), space.coordinate_dtype)
        basis[rows, places] = 1
        columns = operator(space.from_coordinates(basis))
        found[places] = operator.codomain.to_coordinates(columns)[rows, places]
    return found


def require_square(name: str, operator: LinearOperator) -> None:
    """Raise unless an operator takes vectors to vectors of the same kind, with whatever weights.

    Raises
    ------
    SpaceError
        Naming who asks, and the operator.
    """
    if operator.domain.unweighted != operator.codomain.unweighted:
        raise SpaceError(f"{name} of {operator!r}: expected an operator from a space to itself")


def acts_on_coordinates(operator: LinearOperator) -> bool:
    """Say whether an operator is known to multiply each coordinate by a number: one application to ones tells them all.

    In a real space of complex arrays, a complex number mixes the two coordinates of an entry.

    Examples
    --------
    >>> from linop import Diagonal, Euclidean
    >>> acts_on_coordinates(Diagonal([1j])), acts_on_coordinates(Diagonal([1j], Euclidean(1, complex, field="real")))
    (True, False)
    """
    if isinstance(operator, Reweight):
        return True
    if isinstance(operator, Riesz) or (isinstance(operator, Diagonal) and not operator.entries.imag.any()):
        return is_diagonal(operator)  # the numbers are real
    return is_diagonal(operator) and not is_real_of_complex(operator.domain)


def blocks(size: int) -> list[np.ndarray]:
    """Return the numbers below `size` in blocks of so many vectors that these have `BLOCK` coordinates together.

    Examples
    --------
    >>> [len(block) for block in blocks(3000)]
    [349, 349, 349, 349, 349, 349, 349, 349, 208]
    """
    each = max(BLOCK // max(size, 1), 1)
    return [np.arange(start, min(start + each, size)) for start in range(0, size, each)]


def ones(space: Space) -> Vector:
    """Return the vector whose coordinates are ones: what a diagonal operator makes of it is its diagonal.

    Examples
    --------
    >>> from linop import Euclidean
    >>> ones(Euclidean(2, complex, field="real")).tolist()
    [(1+1j), (1+1j)]
    """
    both = space.field == "real"
    return arrays.each(lambda x: np.full_like(x, 1 + 1j if both and x.dtype.kind == "c" else 1), space.zeros())


@diagonal.register
def _(operator: Sum) -> Answer[np.ndarray]:
    total = yield operator.first
    for term in operator.terms[1:]:
        total = total + (yield term)
    return total


@diagonal.register
def _(operator: Scale) -> Answer[np.ndarray]:
    return np.asarray(operator.scalar * (yield operator.operator)) if operator.commutes else _by_basis(operator)


@diagonal.register
def _(operator: Adjoint) -> Answer[np.ndarray]:
    return (yield operator.operator).conj()


@diagonal.register
def _(operator: Compose) -> Answer[np.ndarray]:
    """Diagonals to the left and the right of one other operator multiply its diagonal."""
    require_square("diagonal", operator)
    if sum(not acts_on_coordinates(factor) for factor in operator.factors) > 1:
        return _by_basis(operator)
    found = yield operator.first
    for factor in operator.factors[1:]:
        found = found * (yield factor)
    return found


@diagonal.register
def _(operator: Matrix | SparseMatrix) -> np.ndarray:
    require_square("diagonal", operator)
    return np.asarray(operator.entries.diagonal(), operator.domain.coordinate_dtype)


@diagonal.register
def _(operator: BlockDiagonal | Block) -> Answer[np.ndarray]:
    require_square("diagonal", operator)
    entries = []
    for block in on_the_diagonal(operator):
        part = yield block
        entries.append(part)
    return np.concatenate(entries)


def on_the_diagonal(operator: BlockDiagonal | Block) -> tuple[LinearOperator, ...]:
    """Return the blocks from a part of a tuple to the same part.

    Examples
    --------
    >>> from linop import Diagonal
    >>> D, E = Diagonal([1.0]), Diagonal([2.0])
    >>> on_the_diagonal(Block([[D, None], [None, E]])) == (D, E)
    True
    """
    if isinstance(operator, BlockDiagonal):
        return operator.operators
    return tuple(row[i] for i, row in enumerate(operator.rows))


@diagonal.register
def _(operator: Kron) -> Answer[np.ndarray]:
    if any(A.domain.unweighted != A.codomain.unweighted for A in operator.operators):
        return _by_basis(operator)
    found = yield operator.operators[0]
    for A in operator.operators[1:]:
        found = np.kron(found, (yield A))
    return found


def _by_basis(operator: LinearOperator) -> np.ndarray:
    answer: Callable[[LinearOperator], np.ndarray] = diagonal.dispatch(LinearOperator)
    return answer(operator)
