"""Outer has the matrix u v^H."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Product, SpaceError, Weighted, check_claims, claims, matrix
from linop.operators.matrices.outer import Outer
from linop.testing import Expression, assert_operator, outers, shapes

pytestmark = pytest.mark.serial


@given(outers())
def test_outer_products(expression: Expression) -> None:
    """It is u times the pairing with v, on every kind of space and array."""
    assert_operator(*expression)


@given(outers())
def test_adjoint_and_square(expression: Expression) -> None:
    """The adjoint exchanges the two vectors; with the same one twice it is positive, and says so."""
    X, Y = expression.operator.domain, expression.operator.codomain
    u, v = Y.integers(0), X.integers(1)
    assert Outer(v, u, Y, X) == Outer(u, v, X, Y).H
    square = Outer(v, v, X, X)
    assert square.claims >= claims.SYMMETRY
    assert check_claims(square)


@given(st.data())
def test_matrix(data: st.DataObject) -> None:
    """In complex spaces and in those of real arrays the matrix is numpy.outer's, the second vector conjugated."""
    dtype = data.draw(st.sampled_from(["float32", "float64", "complex64", "complex128"]))
    u, v = (Euclidean(data.draw(shapes()), dtype).integers(k) for k in (0, 1))
    A = Outer(u, v)
    assert (A.domain, A.codomain) == (Euclidean(v.shape, dtype), Euclidean(u.shape, dtype))
    np.testing.assert_array_equal(matrix(A), np.outer(u, v.conj()))


def test_default_spaces() -> None:
    """They hold both vectors, and take after the space that is given."""
    A = Outer([1, 2], [1j])
    assert (A.domain, A.codomain) == (Euclidean(1, complex), Euclidean(2, complex))
    assert matrix(A).tolist() == [[-1j], [-2j]]
    R = Euclidean(1, "complex64", field="real")
    assert Outer([1.0, 2.0], [1j], domain=R).codomain == Euclidean(2, "complex64", field="real")
    assert Outer([1j], [1.0, 2.0], codomain=R).domain == Euclidean(2, "complex64", field="real")


def test_between_real_and_complex_arrays() -> None:
    """On real spaces the arrays may be real here and complex there."""
    X, Y = Euclidean(2), Euclidean(1, complex, field="real")
    A = Outer([1 + 2j], [3.0, 4.0], X, Y)
    assert_operator(A, np.array([[3.0, 4.0], [6.0, 8.0]]))
    assert_operator(A.H, np.array([[3.0, 6.0], [4.0, 8.0]]))


def test_weights() -> None:
    """The pairing is dot; H follows the weights; the Riesz map makes it the projection onto a vector."""
    X = Weighted(Euclidean(2), [1.0, 3.0])
    A = Outer([1.0, 1.0], [1.0, 1.0], X, X)
    assert matrix(A).tolist() == [[1, 1], [1, 1]]
    np.testing.assert_array_equal(matrix(A.H), np.diag([1, 1 / 3]) @ np.ones((2, 2)) @ np.diag([1.0, 3.0]))
    P = (1 / 4) * (A @ X.riesz)
    np.testing.assert_array_equal(matrix(P @ P), matrix(P))
    np.testing.assert_allclose(matrix(P.H), matrix(P), rtol=4 * np.finfo(float).eps)


def test_printing() -> None:
    """It reads as the product that it is."""
    assert str(Outer([1.0, 2.0], [3.0])) == "Functional([1.0, 2.0]).H @ Functional([3.0])"
    assert str(Outer(np.ones(9), [3.0])) == "Functional.H @ Functional([3.0])"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (([1.0], [1.0], Euclidean(2)), r"shape \(2,\), found \(1,\)"),
        (([1.0], [1.0], None, Euclidean(2)), r"shape \(2,\), found \(1,\)"),
        (([1.0], [1.0], Euclidean(1), Euclidean(1, complex)), "Outer.* fields must be the same"),
        (([1.0], [1.0], Product(Euclidean(1))), "Outer: expected a space of arrays"),
    ],
)
def test_what_is_no_outer_product(arguments: tuple[Any, ...], told: str) -> None:
    """The error names the space and what was found."""
    with pytest.raises(SpaceError, match=told):
        Outer(*arguments)
