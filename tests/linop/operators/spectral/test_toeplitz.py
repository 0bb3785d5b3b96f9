"""Toeplitz: matrices with constant diagonals, through the Fourier transform."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given

from linop import (
    Compose,
    Euclidean,
    LinearOperator,
    Product,
    SpaceError,
    Weighted,
    assert_adjoint,
    check_adjoint,
    claims,
)
from linop import matrix as matrix_of
from linop.operators.indexing.padding import Padding
from linop.operators.spectral.circulant import Circulant
from linop.operators.spectral.toeplitz import Toeplitz
from linop.testing import Expression, assert_operator, toeplitz_operators

pytestmark = pytest.mark.serial


@given(toeplitz_operators())
def test_toeplitz_matrices(toeplitz: Expression) -> None:
    """It is the matrix that scipy makes of the same column and row."""
    assert_operator(*toeplitz)


@given(toeplitz_operators())
def test_it_is_a_corner_of_a_circulant(toeplitz: Expression) -> None:
    """It is P_m* C P_n, with a C that has room for all diagonals; so is its adjoint, with C*."""
    A = toeplitz.operator
    assert isinstance(A, Compose)
    outward, circulant, inward = A.factors
    m, n = A.codomain.shape[0], A.domain.shape[0]
    assert isinstance(circulant, Circulant)
    ring = circulant.domain
    assert ring.shape[0] >= m + n - 1
    assert inward == Padding(A.domain, (0, ring.shape[0] - n))
    assert outward == Padding(A.codomain, (0, ring.shape[0] - m)).dual
    assert A.dual == inward.dual @ circulant.dual @ outward.dual


@given(toeplitz_operators())
def test_claims(toeplitz: Expression) -> None:
    """It claims to be self-adjoint exactly where the matrix is."""
    A, entries = toeplitz
    hermitian = entries.shape[0] == entries.shape[1] and np.array_equal(entries, entries.conj().T)
    assert (claims.SELF_ADJOINT in A.claims) == hermitian


def test_positive() -> None:
    """It claims to be positive where the circulant is, as for a kernel that decays fast."""
    A = Toeplitz([4.0, -1.0, 0.0, 0.0])
    assert A.claims == claims.SYMMETRY
    assert np.linalg.eigvalsh(matrix_of(A)).min() > 0
    assert claims.POSITIVE not in Toeplitz([1.0, -1.0, 0.0, 0.0]).claims


@pytest.mark.parametrize(
    ("column", "row"),
    [([1, 2, 3], None), ([1, 2j, 3], None), ([1j, 2], [9, 3, 4]), ([1, 2], [9, 3j, 4]), ([5], [7]), ([2.5, 1], None)],
)
def test_as_scipy(column: Any, row: Any) -> None:
    """As for scipy.linalg.toeplitz, the row is the column's conjugate by default; its first entry does not count."""
    A = Toeplitz(column, row)
    expected = scipy.linalg.toeplitz(column, row)
    np.testing.assert_allclose(
        matrix_of(A), expected, atol=8 * A.roundings * np.finfo(float).eps * np.abs(expected).max()
    )
    dtype = np.result_type(expected, np.float64)
    assert (A.domain, A.codomain) == (Euclidean(expected.shape[1], dtype), Euclidean(expected.shape[0], dtype))


def test_single_precision_by_default() -> None:
    """Of a column in single precision, the spaces are too."""
    A = Toeplitz(np.ones(3, np.float32))
    assert A.domain.dtype == A.codomain.dtype == np.float32


@pytest.mark.parametrize(("m", "n"), [(1000, 700), (513, 1024), (997, 997)])
@pytest.mark.parametrize("dtype", [float, complex])
def test_large_matrices(m: int, n: int, dtype: Any) -> None:
    """Large ones are the matrix that scipy makes, and their adjoint passes the floating check."""
    column, row = Euclidean(m, dtype).normal(0), Euclidean(n, dtype).normal(1)
    A: LinearOperator = Toeplitz(column, row)
    assert check_adjoint(A).mode == "floating"
    assert_adjoint(A)
    x = A.domain.normal(2)
    assert A.gain is not None
    allowed = A.roundings * np.finfo(float).eps * A.gain * A.domain.norm(x)
    assert A.codomain.norm(A(x) - scipy.linalg.toeplitz(column, row) @ x) <= allowed


def test_weighted_spaces() -> None:
    """Between weighted spaces, A.H is W_X^-1 A^H W_Y; on one weighted space, claims are those without weights."""
    Xw, Yw = Weighted(Euclidean(2), [2.0, 4.0]), Weighted(Euclidean(3), [1.0, 3.0, 5.0])
    A = Toeplitz([1, 2, 3], [1, 4], Xw, codomain=Yw)
    assert (A.domain, A.codomain) == (Xw, Yw)
    expected = np.diag([0.5, 0.25]) @ scipy.linalg.toeplitz([1, 2, 3], [1, 4]).T @ np.diag([1, 3, 5])
    np.testing.assert_allclose(
        matrix_of(A.H), expected, atol=8 * A.roundings * np.finfo(float).eps * np.abs(expected).max()
    )
    row = Toeplitz([1.0], [1.0, 2.0], Xw)  # as large as its circulant
    assert (row.domain, row.codomain) == (Xw, Euclidean(1))
    B = Toeplitz([2.0, 1.0], None, Xw)
    assert B.codomain == Xw
    assert claims.SELF_ADJOINT in B.claims


@pytest.mark.parametrize(
    ("column", "row", "arguments", "told"),
    [
        ([], None, {}, r"column of one or more numbers, found shape \(0,\)"),
        ([[1.0]], None, {}, r"column of one or more numbers, found shape \(1, 1\)"),
        ([1.0], 2.0, {}, r"row of one or more numbers, found shape \(\)"),
        ([np.nan], None, {}, "column must be finite"),
        ([1.0], [1.0, np.inf], {}, "row must be finite"),
        ([1.0, 2.0], None, {"domain": Euclidean(3)}, r"domain of shape \(2,\)"),
        ([1.0, 2.0], None, {"domain": Euclidean((2, 1))}, r"domain of shape \(2,\)"),
        ([1.0, 2j], None, {"domain": Euclidean(2)}, "complex"),
        ([1.0, 2.0], None, {"domain": Product(Euclidean(2))}, "space of arrays"),
        ([1.0, 2.0], [1.0], {"codomain": Euclidean(1)}, r"codomain of shape \(2,\)"),
    ],
)
def test_what_is_no_toeplitz_matrix(column: Any, row: Any, arguments: Any, told: str) -> None:
    """The error names the operator, the space, what was found and what was expected."""
    with pytest.raises(SpaceError, match=f"(?s)Toeplitz.*{told}"):
        Toeplitz(column, row, **arguments)


def test_equality_and_printing() -> None:
    """Equal are matrices of the same column and row; it prints as what it is made of."""
    A = Toeplitz([1, 2, 3], [1, 4])
    assert Toeplitz([1.0, 2.0, 3.0], [7.0, 4.0]) == A
    assert hash(Toeplitz([1.0, 2.0, 3.0], [7.0, 4.0])) == hash(A)
    assert all(other != A for other in [Toeplitz([1, 2, 3], [1, 5]), Toeplitz([1, 2, 3])])
    assert str(A) == "Padding((0, 1), zero).H @ Circulant @ Padding((0, 2), zero)"
