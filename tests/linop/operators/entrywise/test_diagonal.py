"""Diagonal: multiplication entry by entry."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from linop import Diagonal, Euclidean, LinearOperator, Product, SpaceError, Weighted, claims, inverse, matrix
from linop.testing import Expression, assert_operator, diagonals

pytestmark = pytest.mark.serial


@given(diagonals())
def test_diagonals(diagonal: Expression) -> None:
    """It multiplies entry by entry, on every kind of space and array."""
    assert_operator(*diagonal)


@given(diagonals(singular=False))
def test_inverse(diagonal: Expression) -> None:
    """The inverse divides."""
    A = diagonal.operator
    x = A.domain.integers(0)
    np.testing.assert_allclose(inverse(A)(A(x)), x, rtol=4 * np.finfo(x.dtype).eps)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([2.0, -1.0], {claims.DIAGONAL, claims.SELF_ADJOINT}),
        ([2.0, 0.0], {claims.DIAGONAL, *claims.SYMMETRY}),
        ([1.0, 0.0], {claims.DIAGONAL, claims.IDEMPOTENT, *claims.SYMMETRY}),
        ([1.0, -1.0], {claims.DIAGONAL, claims.SELF_ADJOINT, *claims.UNITARY}),
        ([1.0, 1j], {claims.DIAGONAL, *claims.UNITARY}),
        ([1.0, 2j], {claims.DIAGONAL}),
    ],
)
def test_claims(entries: Any, expected: set[str]) -> None:
    """It claims what its entries say."""
    assert Diagonal(entries).claims == expected


def test_entries_broadcast() -> None:
    """Entries broadcast to the shape of a vector."""
    assert Diagonal([1.0, 2.0], Euclidean((3, 2)))(np.ones((3, 2))).tolist() == [[1, 2]] * 3
    assert Diagonal(3, Euclidean(2)) == Diagonal([3.0, 3.0])


@pytest.mark.parametrize(
    ("entries", "space", "told"),
    [
        ([1.0, 2.0], Euclidean(3), r"broadcast to shape \(3,\), found shape \(2,\)"),
        ([1.0, np.nan], None, "finite"),
        ([1j], Euclidean(1), "complex"),
        ([1.0], Product(Euclidean(1), Euclidean(1)), "broadcast"),
    ],
)
def test_what_is_no_diagonal(entries: Any, space: Any, told: str) -> None:
    """The error names the operator, the space and what was found."""
    with pytest.raises(SpaceError, match=f"Diagonal.*{told}"):
        Diagonal(entries, space)


def test_on_a_weighted_space() -> None:
    """With weights in an array, a real diagonal stays self-adjoint."""
    X = Weighted(Euclidean(2), [1.0, 4.0])
    A: LinearOperator = Diagonal([2.0, 3.0], X)
    np.testing.assert_array_equal(matrix(A.H), matrix(A))
