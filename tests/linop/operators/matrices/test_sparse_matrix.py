"""SparseMatrix is the matrix of its entries, whatever format they came in."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Matrix, Product, SpaceError, Weighted, claims, matrix
from linop.operators.matrices.sparse_matrix import SparseMatrix
from linop.testing import DTYPES, Expression, assert_operator, integer_matrices, sparse_matrices

pytestmark = pytest.mark.serial


@given(sparse_matrices())
def test_sparse_matrices(expression: Expression) -> None:
    """It is the dense matrix, on every kind of space and array."""
    assert_operator(*expression)


@given(sparse_matrices())
def test_what_it_knows(expression: Expression) -> None:
    """The gain bounds the norm of absolute values, roundings follow the fullest row or column, equality the entries."""
    A, twin = expression
    assert isinstance(A, SparseMatrix)
    twin = twin.astype(complex)
    if twin.size:
        assert np.linalg.norm(np.abs(twin), 2) <= (A.gain or 0.0) * (1 + 1e-12)  # the SVD's own roundings
        assert A.roundings == 2 * max((twin != 0).sum(axis=axis).max() for axis in (0, 1))
        other = A.entries.tolil()
        other[0, 0] += 1
        assert SparseMatrix(other, A.domain, A.codomain) != A
    again = SparseMatrix(A.entries.tocoo(), A.domain, A.codomain)
    assert again == A
    assert hash(A) == hash(again)


@given(st.data())
def test_self_adjoint(data: st.DataObject) -> None:
    """It claims to be self-adjoint where it is."""
    dtype = data.draw(st.sampled_from(DTYPES))
    half = data.draw(integer_matrices(4, 4, dtype))
    A = SparseMatrix(scipy.sparse.coo_array(half + half.conj().T))
    assert A.claims == {claims.SELF_ADJOINT}
    assert_operator(A, half + half.conj().T)
    B = SparseMatrix(scipy.sparse.coo_array(np.triu(np.ones((4, 4)))))
    assert not B.claims


def test_entries_that_are_stored_twice() -> None:
    """Entries of the same place are added; zeros are left out; integers become floating; what came in is copied."""
    given = scipy.sparse.coo_array(([1, 2, 5, -5], ([0, 0, 1, 1], [1, 1, 0, 0])), shape=(2, 2))
    A = SparseMatrix(given)
    given.data[:] = 0
    assert str(A) == "SparseMatrix(2x2, 1 entries)"
    assert (A.domain, matrix(A).tolist()) == (Euclidean(2), [[0, 3], [0, 0]])
    assert SparseMatrix(scipy.sparse.csr_matrix([[0.0, 3.0], [0.0, 0.0]])) == A


def test_index_dtypes() -> None:
    """Equality does not depend on how wide scipy's indices are."""
    narrow = scipy.sparse.csr_array(np.eye(3))
    wide = scipy.sparse.csr_array((narrow.data, narrow.indices.astype(np.int64), narrow.indptr.astype(np.int64)))
    assert SparseMatrix(narrow) == SparseMatrix(wide)
    assert hash(SparseMatrix(narrow)) == hash(SparseMatrix(wide))


def test_precision_follows_the_argument() -> None:
    """Single precision stays single, also in torch's half; integers become floating."""
    A = SparseMatrix(scipy.sparse.csr_array(0.5 * np.eye(2)))
    assert A(np.ones(2, np.float32)).dtype == np.float32
    assert A(np.ones(2, np.int64)).tolist() == [0.5, 0.5]
    assert A(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_large_and_sparse() -> None:
    """Its size is that of its entries: a matrix of 10^12 places is small."""
    n = 10**6
    shift = SparseMatrix(scipy.sparse.dia_array((np.full((1, n), 2.0), [1]), shape=(n, n)))
    x = np.arange(float(n))
    np.testing.assert_array_equal(shift(x)[:-1], 2 * x[1:])
    np.testing.assert_array_equal(shift.H(x)[1:], 2 * x[:-1])
    assert math.isclose(shift.gain, 2.0)


def test_weights_and_products() -> None:
    """H follows the weights; tuples are concatenated."""
    X = Weighted(Euclidean(2), [1.0, 4.0])
    Y = Product(Euclidean(1), Weighted(Euclidean(()), 2.0))
    dense = np.array([[1.0, 2.0], [0.0, 3.0]])
    A = SparseMatrix(scipy.sparse.csr_array(dense), X, Y)
    one, other = A(np.array([1.0, 1.0]))
    assert (one.tolist(), other.tolist()) == ([3.0], 3.0)
    np.testing.assert_array_equal(matrix(A.H), np.diag([1, 1 / 4]) @ dense.T @ np.diag([1.0, 2.0]))
    np.testing.assert_array_equal(matrix(A.H), matrix(Matrix(dense, X, Y).H))


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ((np.eye(2),), TypeError, "expected entries to be a scipy.sparse array or matrix, found an array"),
        (
            (scipy.sparse.coo_array([1.0, 2.0]),),
            ValueError,
            r"expected entries to be a matrix of numbers, found shape \(2,\)",
        ),
        (
            (scipy.sparse.eye_array(2), Euclidean(3)),
            SpaceError,
            r"Euclidean\(\(3,\), float64\) -> Euclidean\(\(2,\).*expected 2 rows and 3 columns, found shape \(2, 2\)",
        ),
        ((1j * scipy.sparse.eye_array(2), Euclidean(2), Euclidean(2)), SpaceError, "complex128 : .*must be complex"),
        ((scipy.sparse.csr_array([[np.inf]]),), SpaceError, "finite"),
    ],
)
def test_what_is_no_sparse_matrix(arguments: tuple[Any, ...], error: type[Exception], told: str) -> None:
    """The error names the operator, the spaces and what was found."""
    with pytest.raises(error, match=f"SparseMatrix.*{told}"):
        SparseMatrix(*arguments)
