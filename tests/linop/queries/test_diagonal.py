"""The diagonal is that of the matrix, however it is found."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedDiagonal, DistributedSpace, Grid, Local, Replicated, Split, simulate
from linop import (
    Block,
    BlockDiagonal,
    Compose,
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    Kron,
    LinearOperator,
    Matrix,
    Product,
    SpaceError,
    Weighted,
    Zero,
    matrix,
    reweight,
)
from linop.arrays import Vector
from linop.operators.matrices.sparse_matrix import SparseMatrix
from linop.operators.spectral.fft import FFT
from linop.queries.diagonal import acts_on_coordinates, blocks, diagonal, ones
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial

module = sys.modules["linop.queries.diagonal"]


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    space = draw(st.sampled_from(draw(spaces_of_a_tree())))
    return draw(expressions(space, space))


class Counted(LinearOperator):
    """An operator that counts the vectors that it is applied to, and knows nothing of itself."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.domain, operator.codomain)
        self.operator = operator
        self.vectors: list[int] = []

    def _apply(self, x: Vector) -> Vector:
        self.vectors.append(math.prod(self.domain.batch(x)))
        return self.operator._apply(x)

    def _apply_dual(self, y: Vector) -> Vector:
        self.vectors.append(math.prod(self.codomain.batch(y)))
        return self.operator._apply_dual(y)


@given(trees())
def test_expressions(tree: Expression) -> None:
    """It is the diagonal of the matrix of every expression, in the precision of its coordinates."""
    found = diagonal(tree.operator)
    np.testing.assert_array_equal(found, np.diag(tree.matrix))
    assert found.dtype == tree.operator.codomain.coordinate_dtype


@given(trees())
def test_what_acts_on_coordinates_is_diagonal(tree: Expression) -> None:
    """Where an operator is known to act on coordinates, its matrix has nothing beside the diagonal."""
    if acts_on_coordinates(tree.operator):
        np.testing.assert_array_equal(tree.matrix, np.diag(np.diag(tree.matrix)))


X, X2, ONE = Euclidean(5), Euclidean(2), Euclidean(())
DENSE = Counted(Matrix(np.arange(25.0).reshape(5, 5)))
D = Diagonal([1.0, 2.0, 3.0, 4.0, 5.0])
C = Euclidean(2, complex, field="real")


@pytest.mark.parametrize("block", [1, 10, 15, 2**20])
def test_in_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Basis vectors come in blocks of a bounded number of coordinates, of one vector at least; each comes once."""
    monkeypatch.setattr(module, "BLOCK", block)
    A = Counted(Matrix(np.arange(25.0).reshape(5, 5)))
    assert diagonal(A).tolist() == [0, 6, 12, 18, 24]
    assert max(A.vectors) <= max(block // 5, 1)
    assert sum(A.vectors) == 5
    assert np.concatenate(blocks(5)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("operator", "vectors"),
    [
        (Identity(X) + D @ D, 0),
        (D @ DENSE @ D, 5),
        (DENSE.H + 2 * DENSE, 5),  # the same operator is asked once
        (Zero(X, X) + D @ Diagonal(np.ones(5)), 0),
        (Kron(DENSE, D), 5),
        (BlockDiagonal(DENSE, D), 5),
        (Block([[DENSE, DENSE], [DENSE, D]]), 5),
        (DENSE @ DENSE, 10),
    ],
    ids=str,
)
def test_structure_saves_applications(operator: LinearOperator, vectors: int) -> None:
    """Only what has no known structure is applied to basis vectors, and only what stands on the diagonal."""
    DENSE.vectors.clear()
    found = diagonal(operator)
    assert sum(DENSE.vectors) == vectors
    np.testing.assert_array_equal(found, np.diag(matrix(operator)))


@pytest.mark.parametrize(
    "operator",
    [
        Diagonal([1j, 2 - 1j], C),
        Diagonal([3.0, -1.0], C),
        (2 - 3j) * Identity(C),
        (2 - 3j) * Identity(C) @ Diagonal([1j, 2.0], C) @ Diagonal([1j, 2.0], C),
        (1 + 1j) * Matrix(np.arange(16.0).reshape(4, 4), C, C),
        BlockDiagonal(Diagonal([1j, 1.0], C), Identity(X)),
        Weighted(C, [1.0, 2.0]).riesz,
        FFT(Euclidean(3, complex), norm="backward"),
        Kron(Matrix([[1.0, 2.0]], X2, ONE), Matrix([[3.0], [4.0]], ONE, X2)),
        reweight(Diagonal([1.0, 2.0]), Weighted(Euclidean(2), 2.0), Weighted(Euclidean(2), [1.0, 2.0])),
        Matrix(np.arange(4.0).reshape(2, 2), Euclidean(2), Weighted(Euclidean(2), 2.0)),
        Identity(Product(Euclidean(2), C)),
        Zero(Euclidean(0), Euclidean(0)),
    ],
    ids=repr,
)
def test_examples(operator: LinearOperator) -> None:
    """Real spaces of complex arrays, where a complex number mixes coordinates; weights; factors that are not square."""
    np.testing.assert_allclose(diagonal(operator), np.diag(matrix(operator)), rtol=0, atol=1e-14)


def test_sparse_matrix() -> None:
    """A stored matrix is looked at, not applied."""
    from scipy.sparse import csr_array

    A = SparseMatrix(csr_array(np.array([[0.0, 1.0], [2.0, 3.0]])), Euclidean(2, complex), Euclidean(2, complex))
    assert diagonal(A).tolist() == [0, 3]
    assert diagonal(A).dtype == complex


def test_ones() -> None:
    """All coordinates are one, those of tuples and of both parts of a complex number, too."""
    space = Product(Weighted(C, 2.0), Euclidean(2), Product(Euclidean(1)))
    np.testing.assert_array_equal(space.to_coordinates(ones(space)), np.ones(space.size))
    assert ones(Euclidean(1, complex)).tolist() == [1]


def test_spread_over_processes() -> None:
    """Every process gets the whole diagonal, of what is known to be one and of what is not."""

    def main(world: object) -> list[object]:
        S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
        R = DistributedSpace(Grid(world, rows=2), (3,), rows=Replicated())
        local = Local(S, S, Matrix(np.arange(float(n := S.shape[0]) * n).reshape(n, n)))
        weights = DistributedDiagonal([1.0, 2.0, 3.0], S)
        return [diagonal(A).tolist() for A in (local, weights, local @ weights, Identity(R))]

    for found in simulate(2, main):
        assert found == [[0, 3, 0], [1, 2, 3], [0, 6, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    "operator", [Matrix(np.ones((2, 3))), Matrix(np.ones((4, 4)), Euclidean(4), Euclidean((2, 2)))]
)
def test_not_square(operator: LinearOperator) -> None:
    """Vectors of other shapes are other vectors, also of as many coordinates; the error names the operator."""
    for A in (operator, Compose(operator, Identity(operator.domain)), Counted(operator), 2 * operator):
        with pytest.raises(SpaceError, match=r"diagonal of .*Matrix|Counted"):
            diagonal(A)


def test_function_operators() -> None:
    """A function for one vector at a time will do."""
    reverse = FunctionOperator(X, X, lambda x: x[::-1].copy(), lambda y: y[::-1].copy())
    assert diagonal(reverse).tolist() == [0, 0, 1, 0, 0]
