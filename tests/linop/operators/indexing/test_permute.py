"""Permute: the axes in another order."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from linop import Euclidean, Product, SpaceError, Weighted, claims, inverse, matrix
from linop.operators.indexing.permute import Permute
from linop.testing import Expression, assert_operator, dense, permutes, weight_matrix, with_weights

pytestmark = pytest.mark.serial


@given(permutes())
def test_permutations(permutation: Expression) -> None:
    """It transposes as NumPy does, on every kind of space and array."""
    assert_operator(*permutation)


@given(permutes())
def test_unitary(permutation: Expression) -> None:
    """Its inverse is its adjoint, the inverse permutation; self-adjoint is claimed of symmetric matrices only."""
    A, dense_matrix = permutation
    assert A.claims >= claims.UNITARY
    assert inverse(A) == A.dual
    assert type(A.dual) is Permute
    assert A.dual.dual == A
    if claims.SELF_ADJOINT in A.claims:
        np.testing.assert_array_equal(dense_matrix, dense_matrix.T)


@pytest.mark.parametrize(("p", "q"), list(itertools.product(itertools.permutations(range(3)), repeat=2)))
def test_products(p: tuple[int, ...], q: tuple[int, ...]) -> None:
    """One permutation after another is the permutation p[q[k]]; only those that are their own inverse are symmetric."""
    X = Euclidean((2, 2, 2))
    found = Permute(X, q) @ Permute(X, p)
    np.testing.assert_array_equal(matrix(found), matrix(Permute(X, tuple(p[axis] for axis in q))))
    involution = tuple(p[axis] for axis in p) == (0, 1, 2)
    assert (claims.SELF_ADJOINT in Permute(X, p).claims) == involution


@pytest.mark.parametrize("kind", ["number", "array", "operator"])
def test_between_weighted_spaces(kind: str) -> None:
    """Given weighted spaces, A.H has the matrix W_X^-1 a^H W_Y, and A.dual goes back to the same weighted space."""
    X, Y = with_weights(Euclidean((2, 3)), kind, 1), with_weights(Euclidean((3, 2)), kind, 2)
    A = Permute(X, (1, 0), codomain=Y)
    assert A.dual == Permute(Y, (1, 0), codomain=X)
    a = dense(np.transpose, X.unweighted, Y.unweighted)
    expected = np.linalg.solve(weight_matrix(X), a.T @ weight_matrix(Y))
    # exact for powers of two; of an operator, its condition number (below 100) times the size times the roundings
    np.testing.assert_allclose(matrix(A.H), expected, rtol=0, atol=0 if kind != "operator" else 600 * 2.0**-52)


def test_equality_and_printing() -> None:
    """Space and axes make a permutation, however they are counted."""
    X = Euclidean((2, 3, 4))
    A = Permute(X, (2, 0, 1))
    assert Permute(X, [-1, -3, -2]) == A
    assert hash(A) == hash(Permute(X, [-1, -3, -2]))
    assert Permute(X, (1, 2, 0)) != A
    assert Permute(Euclidean((2, 3, 4), np.float32), (2, 0, 1)) != A
    assert Permute(X, (2, 0, 1), codomain=Weighted(Euclidean((4, 2, 3)), 2.0)) != A
    assert str(A) == "Permute(2, 0, 1)"
    assert str(Permute(Euclidean(2), (0,))) == "Permute(0)"
    assert str(Permute(Euclidean(()), ())) == "Permute()"


@pytest.mark.parametrize("axes", [(0,), (0, 0), (0, 2), (-3, 0), (0, 1, 2)])
def test_what_is_no_permutation(axes: Any) -> None:
    """The error names the operator, the space, and what was found."""
    with pytest.raises(SpaceError, match=r"Permute : Euclidean\(\(2, 3\), float64\): .*2 axes once, found"):
        Permute(Euclidean((2, 3)), axes)


def test_spaces_that_do_not_fit() -> None:
    """The error names both spaces; a product of spaces has no axes."""
    with pytest.raises(SpaceError, match=r"Permute\(1, 0\) : .* -> .*expected .* shape \(3, 2\)"):
        Permute(Euclidean((2, 3)), (1, 0), codomain=Euclidean((2, 3)))
    with pytest.raises(SpaceError, match=r"Permute.*Product"):
        Permute(Product(Euclidean(2)), (0,))
    with pytest.raises(TypeError, match=r"Permute.*Space"):
        Permute(np.zeros(3), (0,))  # type: ignore[arg-type]
