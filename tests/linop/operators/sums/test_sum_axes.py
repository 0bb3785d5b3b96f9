"""SumAxes sums over axes, and its adjoint copies along them; Mean divides by how many there were."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given

from linop import Euclidean, Product, SpaceError, Weighted, claims, matrix
from linop.operators.sums.sum_axes import Mean, SumAxes
from linop.testing import Expression, assert_operator, means, sums_over_axes

pytestmark = pytest.mark.serial


@given(sums_over_axes())
def test_sums(expression: Expression) -> None:
    """It is numpy.sum, on every kind of space and array."""
    A = expression.operator
    assert A.exact
    assert_operator(*expression)


@given(means())
def test_means(expression: Expression) -> None:
    """Mean is numpy.mean."""
    assert_operator(*expression)


@given(sums_over_axes())
def test_a_mean_is_a_multiple_of_a_sum(expression: Expression) -> None:
    """Mean is the sum over the number of terms, where there are any."""
    A = expression.operator
    assert isinstance(A, SumAxes)
    assume(A.terms)
    assert (1 / A.terms) * A == Mean(A.domain, A.axes)


@given(sums_over_axes())
def test_gain(expression: Expression) -> None:
    """The gain is the norm."""
    A, twin = expression
    assume(twin.size)
    assert math.isclose(A.gain or 0.0, np.linalg.norm(twin.astype(complex), 2))


@given(sums_over_axes())
def test_equality(expression: Expression) -> None:
    """Equal sums have equal spaces and axes, however the axes are named."""
    A = expression.operator
    assert isinstance(A, SumAxes)
    again = SumAxes(A.domain, tuple(axis - A.domain.ndim for axis in reversed(A.axes)))
    assert again == A
    assert hash(A) == hash(again)
    assert SumAxes(Euclidean((2, 2)), 0) != SumAxes(Euclidean((2, 2)), 1)


def test_by_hand() -> None:
    """Two sums, and what comes back."""
    A = SumAxes(Euclidean((2, 3)), axes=-1)
    assert A(np.arange(6.0).reshape(2, 3)).tolist() == [3, 12]
    assert A.H(np.array([1.0, 2.0])).tolist() == [[1, 1, 1], [2, 2, 2]]
    assert (A.roundings, A.gain) == (2, math.sqrt(3))
    assert str(A) == "SumAxes(axes=(1,))"
    assert str(Mean(Euclidean((2, 3)), 0)) == "0.5 * SumAxes(axes=(0,))"


def test_claims() -> None:
    """Unitary where one entry is each sum: the array loses an axis of length one."""
    assert SumAxes(Euclidean((3, 1)), 1).claims == claims.UNITARY
    assert not SumAxes(Euclidean((3, 2)), 1).claims
    assert not SumAxes(Euclidean((3, 0)), 1).claims


def test_weights() -> None:
    """The spaces may have weights, and H follows them; the shape of a codomain that is given must be the sum's."""
    X, Y = Weighted(Euclidean((2, 2)), [[1.0, 2.0], [4.0, 8.0]]), Weighted(Euclidean(2), [2.0, 4.0])
    A = SumAxes(X, 1, codomain=Y)
    assert matrix(A).tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert matrix(A.H).tolist() == [[2, 0], [1, 0], [0, 1], [0, 0.5]]
    assert Mean(X, 1, codomain=Y).codomain == Y
    with pytest.raises(SpaceError, match=r"SumAxes.*shape \(2,\).*found shape \(3,\)"):
        SumAxes(X, 1, codomain=Euclidean(3))


@pytest.mark.parametrize("axes", [2, -3, (0, 0), (0, -2)])
def test_what_is_no_axis(axes: Any) -> None:
    """The error names the operator, the space and what was found."""
    with pytest.raises(SpaceError, match=r"SumAxes of Euclidean\(\(2, 3\), float64\): expected different axes"):
        SumAxes(Euclidean((2, 3)), axes)


def test_what_has_no_sum() -> None:
    """Tuples are not summed, and of nothing there is no mean."""
    with pytest.raises(SpaceError, match="SumAxes: expected a space of arrays"):
        SumAxes(Product(Euclidean(2)))
    with pytest.raises(TypeError, match="SumAxes: expected domain to be a Space, found 3"):
        SumAxes(3)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="nothing to average"):
        Mean(Euclidean((2, 0)))
