"""Equal means equal: operators that count as equal have the same matrix, whatever their hashes."""

import pickle
from copy import copy, deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    BlockDiagonal,
    Circulant,
    CumulativeSum,
    Diagonal,
    Euclidean,
    HStack,
    Identity,
    LinearOperator,
    Matrix,
    Permute,
    Product,
    VStack,
    Weighted,
    matrix,
    simplify,
)

pytestmark = pytest.mark.serial

X = Euclidean((2, 2), complex)
LEAVES: list[LinearOperator] = [
    Identity(X),
    *(CumulativeSum(X, axis=axis) for axis in (-1, -2)),
    *(Diagonal(np.full((2, 2), entry), X) for entry in (-1.0, -2.0, -1j)),
    *(Matrix(entry * np.eye(4), X, X) for entry in (-1.0, -2.0, -2j)),
    *(Permute(X, axes) for axes in ((0, 1), (1, 0))),
    *(Circulant([[entry, 0], [0, 0]], X) for entry in (-1, -2)),
]
NUMBERS = (-1, -2, 0, 1, -1.0, -1j, -2j, 1 - 2j)
assert hash(-1) == hash(-2)


def trees() -> st.SearchStrategy[LinearOperator]:
    """Return small expressions of few operators: many of them are equal, and many nearly so."""

    def larger(smaller: st.SearchStrategy[LinearOperator]) -> st.SearchStrategy[LinearOperator]:
        pairs = st.tuples(smaller, smaller)
        return st.one_of(
            st.tuples(st.sampled_from(NUMBERS), smaller).map(lambda drawn: drawn[0] * drawn[1]),
            pairs.map(lambda drawn: drawn[0] + drawn[1]),
            pairs.map(lambda drawn: drawn[0] @ drawn[1]),
            pairs.map(lambda drawn: HStack(*drawn) @ VStack(*drawn[::-1])),
            pairs.map(lambda drawn: HStack(Identity(X), Identity(X)) @ BlockDiagonal(*drawn) @ VStack(*drawn)),
            smaller.map(lambda A: A.H),
        )

    return st.recursive(st.sampled_from(LEAVES), larger, max_leaves=3)


@given(st.lists(trees(), min_size=2, max_size=12))
def test_equal_operators_have_equal_matrices(drawn: list[LinearOperator]) -> None:
    """Of any two random expressions: if they are equal, so are their matrices and hashes."""
    for A in drawn:
        for B in drawn:
            if A == B:
                np.testing.assert_array_equal(matrix(A), matrix(B))
                assert hash(A) == hash(B)
            assert (A == B) == (B == A)


@given(trees(), trees())
def test_differences_are_simplified_to_what_they_are(A: LinearOperator, B: LinearOperator) -> None:
    """Nothing becomes zero that is not: the difference of two expressions keeps its matrix."""
    np.testing.assert_allclose(matrix(simplify(A - B)), matrix(A - B), rtol=0, atol=1e-9)


@given(trees())
def test_copies_are_equal(A: LinearOperator) -> None:
    """What was copied or pickled is the same operator."""
    assert copy(A) is A
    assert deepcopy(A) is A
    again = pickle.loads(pickle.dumps(A))
    assert again == A
    assert hash(again) == hash(A)
    assert "_hash" not in pickle.dumps(A).decode("latin1")


def test_shared_parts_are_compared_once() -> None:
    """An expression whose parts occur again and again would be compared for ever, tree by tree."""

    def doubled() -> Any:
        A: LinearOperator = Matrix([[0.0, 1.0], [2.0, 3.0]])
        for k in range(60):
            A = A @ Diagonal([1.0, k]) + Diagonal([2.0, k]) @ A
        return A

    A, B = doubled(), doubled()
    assert A == B
    assert hash(A) == hash(B)
    assert B + Identity(A.domain) != A


def test_spaces() -> None:
    """Spaces are equal where their parts and weights are."""
    Y = Euclidean(2)
    spaces = [Y, Euclidean(2, "float32"), Weighted(Y, 1.0), Weighted(Y, 2.0), Weighted(Y, [1.0, 2.0])]
    spaces += [Weighted(Y, Matrix([[2.0, 1.0], [1.0, 2.0]])), Product(Y), Product(Y, Y), Product(Y, Product(Y))]
    for i, first in enumerate(spaces):
        for k, second in enumerate(spaces):
            assert (first == second) == (i == k)
        assert pickle.loads(pickle.dumps(first)) == first
