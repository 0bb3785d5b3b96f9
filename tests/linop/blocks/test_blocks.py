"""Block operators: side by side, above each other, in rows; and Kronecker products."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Block,
    BlockDiagonal,
    Diagonal,
    Euclidean,
    HStack,
    Identity,
    Kron,
    LinearOperator,
    Matrix,
    Product,
    SpaceError,
    VStack,
    Weighted,
    Zero,
    claims,
    matrix,
    tensor_space,
)
from linop.testing import DTYPES, assert_operator, integer_matrices, weight_matrix, with_weights

pytestmark = pytest.mark.serial

I2, I3 = Identity(Euclidean(2)), Identity(Euclidean(3))
A, B, C = Matrix(np.ones((3, 2))), Matrix([[1.0, 2.0], [3.0, 4.0]]), Matrix(np.arange(6.0).reshape(2, 3))


@st.composite
def matrices(draw: st.DrawFn, rows: list[int], columns: list[int]) -> list[list[np.ndarray]]:
    """Return rows of matrices of small integers that fit together."""
    dtype = draw(st.sampled_from(DTYPES))
    return [[draw(integer_matrices(m, n, dtype)) for n in columns] for m in rows]


extents = st.lists(st.integers(0, 3), min_size=1, max_size=3)


@given(st.data(), extents, extents)
def test_block(data: st.DataObject, rows: list[int], columns: list[int]) -> None:
    """The matrix consists of the blocks."""
    blocks = data.draw(matrices(rows, columns))
    assert_operator(Block([[Matrix(a) for a in row] for row in blocks]), np.block(blocks))


@given(st.data(), extents, st.integers(0, 3))
def test_stacks(data: st.DataObject, extents: list[int], other: int) -> None:
    """A column, and a row, of matrices; each is the other's adjoint."""
    column = [row[0] for row in data.draw(matrices(extents, [other]))]
    assert_operator(VStack(*map(Matrix, column)), np.vstack(column))
    (row,) = data.draw(matrices([other], extents))
    assert_operator(HStack(*map(Matrix, row)), np.hstack(row))
    assert HStack(*(Matrix(a).H for a in column)) == VStack(*map(Matrix, column)).H


@given(st.data(), extents, extents)
def test_block_diagonal(data: st.DataObject, rows: list[int], columns: list[int]) -> None:
    """Matrices along the diagonal."""
    count = min(len(rows), len(columns))
    blocks = [data.draw(matrices([m], [n]))[0][0] for m, n in zip(rows[:count], columns[:count], strict=True)]
    blocks = [a.astype(blocks[0].dtype) if np.isrealobj(a) == np.isrealobj(blocks[0]) else a for a in blocks]
    if len({np.iscomplexobj(a) for a in blocks}) == 1:
        assert_operator(BlockDiagonal(*map(Matrix, blocks)), scipy.linalg.block_diag(*blocks))


@given(st.data(), st.sampled_from(DTYPES))
def test_kron(data: st.DataObject, dtype: str) -> None:
    """The matrix is the Kronecker product, of spaces with any number of axes."""
    sizes = {(): 1, (2,): 2, (3,): 3, (2, 2): 4, (0,): 0}
    spaces = [
        Euclidean(shape, dtype) for shape in data.draw(st.lists(st.sampled_from(list(sizes)), min_size=2, max_size=6))
    ]
    pairs = list(zip(spaces[::2], spaces[1::2], strict=False))
    entries = [data.draw(integer_matrices(Y.size, X.size, dtype)) for X, Y in pairs]
    operator = Kron(*(Matrix(a, X, Y) for a, (X, Y) in zip(entries, pairs, strict=True)))
    twin = np.ones((1, 1), dtype)
    for a in entries:
        twin = np.kron(twin, a)
    assert operator.domain.shape == tuple(n for X, _ in pairs for n in X.shape)
    assert_operator(operator, twin)


@given(st.sampled_from(["number", "array", "operator"]), st.sampled_from(["none", "number", "array", "operator"]))
def test_kron_of_weighted_spaces(first: str, second: str) -> None:
    """Weights multiply: the Riesz map of a tensor product is the Kronecker product of the Riesz maps."""
    X, Y = with_weights(Euclidean(3), first, 1), with_weights(Euclidean((2, 1)), second, 2)
    space = tensor_space(X, Y)
    np.testing.assert_array_equal(matrix(space.riesz), np.kron(weight_matrix(X), weight_matrix(Y)))
    a, b = np.arange(9.0).reshape(3, 3), np.arange(4.0).reshape(2, 2)
    operator = Kron(Matrix(a, X, X), Matrix(b, Y, Y))
    assert operator.domain == operator.codomain == space
    expected = np.kron(matrix(Matrix(a, X, X).H), matrix(Matrix(b, Y, Y).H))
    np.testing.assert_allclose(matrix(operator.H), expected, rtol=0, atol=1e-12)  # entries below 100, weights below 6


def test_zeros_in_blocks() -> None:
    """None stands for zero, where row and column tell the spaces."""
    operator = Block([[I2, None], [None, I3]])
    assert operator == Block([[I2, Zero(I3.domain, I2.domain)], [Zero(I2.domain, I3.domain), I3]])
    np.testing.assert_array_equal(matrix(operator), np.eye(5))


def test_claims_of_blocks() -> None:
    """What is symmetric by structure claims so."""
    assert claims.SELF_ADJOINT in Block([[B @ B.H, C.H.H], [C.H, I3]]).claims
    assert not Block([[B @ B.H, C], [2 * C.H, I3]]).claims
    assert BlockDiagonal(I2, Diagonal([1.0, 2.0])).claims == claims.SYMMETRY | {claims.DIAGONAL}
    assert Kron(I2, I3).claims >= claims.UNITARY


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        (BlockDiagonal(I2, A), "BlockDiagonal(Identity, Matrix(3x2))"),
        (VStack(I2, A), "VStack(Identity, Matrix(3x2))"),
        (HStack(I3, A), "HStack(Identity, Matrix(3x2))"),
        (Kron(I3, A), "Kron(Identity, Matrix(3x2))"),
        (Block([[I2], [A]]), "Block([[Identity], [Matrix(3x2)]])"),
    ],
)
def test_printing(operator: LinearOperator, text: str) -> None:
    """Blocks print as they are written."""
    assert str(operator) == text
    assert hash(operator) == hash(
        type(operator)(*(operator.rows,) if isinstance(operator, Block) else operator.operators)
    )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (BlockDiagonal, "BlockDiagonal: expected at least one operator"),
        (lambda: VStack(I2, I3), r"VStack: expected operators from one domain, found Identity : Euclidean\(\(2,\)"),
        (lambda: HStack(I2, I3), r"HStack: expected operators to one codomain, found Identity : Euclidean\(\(2,\)"),
        (
            lambda: BlockDiagonal(I2, Identity(Euclidean(2, complex))),
            "BlockDiagonal: expected operators over one field",
        ),
        (lambda: Block([]), "rows of one length"),
        (lambda: Block([[I2], [I2, I2]]), r"rows of one length, found lengths \[1, 2\]"),
        (lambda: Block([[I2, I3]]), r"row 0, column 1: expected a map Euclidean\(\(3,\).* -> Euclidean\(\(2,\)"),
        (lambda: Block([[I2, None], [None, None]]), "row 0 and column 1 need an operator that tells their spaces"),
        (lambda: Kron(BlockDiagonal(I2)), "Kron: expected a space of arrays"),
        (lambda: Kron(Identity(Euclidean(2, complex, "real"))), "Kron: expected real spaces of real arrays"),
        (lambda: tensor_space(Euclidean(2), Euclidean(2, complex)), "Kron"),
    ],
)
def test_what_does_not_fit(make: Any, told: str) -> None:
    """The error names the operators, the spaces, and the place."""
    with pytest.raises(SpaceError, match=told):
        make()


@pytest.mark.parametrize("kind", [BlockDiagonal, VStack, HStack, Kron])
def test_other_things_are_no_operators(kind: Any) -> None:
    """Arrays are not stacked with operators."""
    with pytest.raises(TypeError, match=f"{kind.__name__}: expected operators to be a LinearOperator"):
        kind(I2, np.eye(2))


def test_vectors_of_blocks() -> None:
    """Vectors of products are tuples, with a common batch; arrays are refused."""
    operator = Block([[I2, C], [A, I3]])
    assert operator.domain == Product(Euclidean(2), Euclidean(3))
    y = operator((np.ones((5, 2)), np.zeros((5, 3))))
    assert [part.shape for part in y] == [(5, 2), (5, 3)]
    with pytest.raises(SpaceError, match="tuple of 2 vectors"):
        operator(np.ones(5))
    with pytest.raises(SpaceError, match="cannot compose"):
        operator @ Identity(Weighted(operator.domain, 2.0))
