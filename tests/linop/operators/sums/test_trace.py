"""Trace is numpy.trace of the last two axes; its adjoint puts a number on the diagonal."""

import numpy as np
import pytest
from hypothesis import given

from linop import Euclidean, Product, Space, SpaceError, Weighted, matrix
from linop.operators.sums.trace import Trace
from linop.testing import Expression, assert_operator, traces

pytestmark = pytest.mark.serial


@given(traces())
def test_traces(expression: Expression) -> None:
    """It is numpy.trace, on every kind of space and array."""
    A, X = expression.operator, expression.operator.domain
    assert A.exact
    assert A.codomain == Euclidean(X.shape[:-2], X.dtype, X.field)
    assert_operator(*expression)


@given(traces())
def test_identity_matrix(expression: Expression) -> None:
    """The adjoint of a number is so many times the unit matrix: the trace pairs with it."""
    X = expression.operator.domain
    c = np.asarray(Euclidean(X.shape[:-2], X.dtype).integers(0))
    np.testing.assert_array_equal(expression.operator.H(c), c[..., None, None] * np.eye(X.shape[-1]))


@given(traces())
def test_equality(expression: Expression) -> None:
    """Equal traces have equal spaces."""
    A, again = expression.operator, Trace(expression.operator.domain)
    assert again == A
    assert hash(A) == hash(again)
    assert Trace(Euclidean((2, 2))) != Trace(Euclidean((3, 3)))


def test_weights() -> None:
    """H follows the weights."""
    X, Y = Weighted(Euclidean((2, 2)), [[1.0, 2.0], [4.0, 8.0]]), Weighted(Euclidean(()), 2.0)
    assert matrix(Trace(X, codomain=Y).H).tolist() == [[2], [0], [0], [0.25]]
    with pytest.raises(SpaceError, match=r"Trace.*expected a codomain of shape \(\)"):
        Trace(X, codomain=Euclidean(1))


@pytest.mark.parametrize("X", [Euclidean((2, 3)), Euclidean(4), Euclidean(()), Product(Euclidean((2, 2)))])
def test_what_has_no_trace(X: Space) -> None:
    """The error names the operator and the space."""
    with pytest.raises(SpaceError, match=r"Trace.*Euclidean"):
        Trace(X)
