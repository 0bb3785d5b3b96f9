"""Reweight: the same vector under another inner product."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Matrix, Reweight, Space, SpaceError, Weighted, assert_correct, matrix, reweight
from linop.testing import euclidean_spaces, weight_matrix, with_weights

pytestmark = pytest.mark.serial

kinds = st.sampled_from(["none", "number", "array", "operator"])


@given(euclidean_spaces(max_extent=3), kinds, kinds)
def test_reweight(space: Space, first: str, second: str) -> None:
    """Coordinates stay; the adjoint is R_X^-1 R_Y."""
    X, Y = with_weights(space, first, 1), with_weights(space, second, 2)
    A = Reweight(X, Y)
    np.testing.assert_array_equal(matrix(A), np.eye(space.size))
    expected = np.linalg.solve(weight_matrix(X), weight_matrix(Y)) if space.size else np.zeros((0, 0))
    np.testing.assert_allclose(matrix(A.H), expected, rtol=0, atol=64 * float(np.finfo(space.dtype).eps))
    assert_correct(A)
    assert A.dual == Reweight(Y, X)


def test_neighbours_merge() -> None:
    """From X to Y to Z is from X to Z; there and back is nothing."""
    X, Y, Z = Euclidean(2), Weighted(Euclidean(2), 2.0), Weighted(Euclidean(2), 4.0)
    assert Reweight(Y, Z) @ Reweight(X, Y) == Reweight(X, Z)
    A = Matrix(np.eye(2), X, X)
    assert A @ Reweight(Y, X) @ Reweight(X, Y) == A


def test_an_operator_on_other_weights() -> None:
    """The same matrix, and the adjoint of the weights."""
    X, Y = Weighted(Euclidean(2), [1.0, 4.0]), Weighted(Euclidean(3), [1.0, 2.0, 4.0])
    a = np.arange(6.0).reshape(3, 2)
    A = reweight(Matrix(a), X, Y)
    np.testing.assert_array_equal(matrix(A), a)
    np.testing.assert_array_equal(matrix(A.H), np.diag([1, 1 / 4]) @ a.T @ np.diag([1.0, 2.0, 4.0]))
    assert reweight(A, X, Y) is A


def test_other_vectors() -> None:
    """The two spaces have the same vectors."""
    with pytest.raises(SpaceError, match=r"Reweight : Euclidean.* -> Weighted.*must have the same vectors"):
        Reweight(Euclidean(2), Weighted(Euclidean(3), 2.0))
