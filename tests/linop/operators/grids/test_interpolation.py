"""Interpolation gives the values that scipy and NumPy interpolate; its adjoint spreads them to the same corners."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from linop import Diagonal, Euclidean, LinearOperator, Product, SpaceError, Weighted, matrix
from linop.operators.grids.interpolation import Interpolation
from linop.operators.indexing.restriction import Restriction
from linop.testing import Expression, assert_operator, dense, euclidean_spaces, interpolations

pytestmark = pytest.mark.serial

METHODS, BOUNDARIES = ("linear", "nearest"), ("error", "zero", "edge")


@given(interpolations())
def test_interpolations(expression: Expression) -> None:
    """It is scipy's, on every kind of space and array; exactly where the weights are eighths."""
    assert_operator(*expression)


@given(interpolations(boundary=("error", "edge")))
def test_constants_and_bounds(expression: Expression) -> None:
    """Weights are not negative and sum to one, to a rounding for each of eight corners."""
    W = expression.operator(expression.operator.domain.basis())
    assert np.all(matrix(expression.operator) >= 0)
    ones = expression.operator(np.ones(expression.operator.domain.shape))
    np.testing.assert_allclose(ones, 1, rtol=8 * np.finfo(W.dtype).eps)


@given(st.data())
def test_one_dimension(data: st.DataObject) -> None:
    """Along one axis it is numpy.interp, which takes the edge outside."""
    n = data.draw(st.integers(1, 5))
    points = np.array(data.draw(st.lists(st.integers(-12, 8 * n + 4), max_size=5))) / 8
    A = Interpolation(Euclidean(n), points[:, None], boundary="edge")
    assert A.exact
    assert_operator(A, dense(lambda x: np.interp(points, np.arange(n), x), A.domain, A.codomain))


@given(st.data())
def test_grid_points(data: st.DataObject) -> None:
    """At grid points both methods take the entry."""
    X = data.draw(euclidean_spaces(min_ndim=1))
    assume(0 not in X.shape)
    points = np.random.default_rng(0).integers(0, X.shape, (3, X.ndim))
    x = X.integers(0)
    for method in METHODS:
        np.testing.assert_array_equal(Interpolation(X, points, method=method)(x), x[tuple(points.T)])


@given(st.data())
def test_affine_functions(data: st.DataObject) -> None:
    """A function that is linear along each axis is met between the grid points, too."""
    shape = data.draw(st.lists(st.integers(2, 4), min_size=1, max_size=3).map(tuple))
    points = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 8, (4, len(shape))) / 8
    grid = np.indices(shape, dtype=float)
    x = np.prod(2 * grid + 1, axis=0)
    np.testing.assert_array_equal(Interpolation(Euclidean(shape), points)(x), np.prod(2 * points + 1, axis=-1))


@given(interpolations())
def test_equality(expression: Expression) -> None:
    """Equal interpolations have equal spaces, points and methods."""
    A = expression.operator
    assert hash(A) == hash(A.H.H)
    X = Euclidean(3)
    assert Interpolation(X, [[0.5]]) == Interpolation(X, np.array([[0.5]]))
    assert Interpolation(X, [[0.5]]) != Interpolation(X, [[0.25]])
    assert Interpolation(X, [[1.5]]) != Interpolation(X, [[0.5]])


def test_the_expression() -> None:
    """It reads as what it is: entries are taken, weighted, summed; the nearest entry is only taken."""
    X = Euclidean(3)
    A = Interpolation(X, [[0.25], [1.5]])
    assert str(A) == "SumAxes(axes=(1,)) @ Diagonal @ Restriction[[[0, 1], [1, 2]]]"
    assert matrix(A).tolist() == [[0.75, 0.25, 0], [0, 0.5, 0.5]]
    B = Interpolation(X, [[0.25], [1.5]], method="nearest")
    assert Restriction(X, (np.array([0, 1]),)) == B
    C: LinearOperator = Diagonal([1.0, 0.0], Euclidean(2))
    assert Interpolation(X, [[0.0], [-0.125]], method="nearest", boundary="zero") == C @ Restriction(
        X, (np.array([0, 0]),)
    )


@pytest.mark.parametrize(("point", "expected"), [(0.5, 0), (1.5, 1), (0.5 - 2**-54, 0), (0.5 + 2**-53, 1), (2, 2)])
def test_halfway(point: float, expected: int) -> None:
    """Halfway between two grid points the lower one is the nearest."""
    assert Interpolation(Euclidean(3), [[point]], method="nearest")(np.arange(3.0)).tolist() == [expected]


def test_no_points() -> None:
    """There may be no points, even in an empty grid."""
    for method in METHODS:
        A = Interpolation(Euclidean((0, 2)), np.zeros((0, 2)), method=method)  # type: ignore[arg-type]
        assert_operator(A, np.zeros((0, 0)))
        assert Interpolation(Euclidean(2), np.zeros((3, 0, 1)), method=method).codomain.shape == (3, 0)  # type: ignore[arg-type]


def test_weights() -> None:
    """H follows the weights of both spaces."""
    X, Y = Weighted(Euclidean(3), [1.0, 2.0, 4.0]), Weighted(Euclidean(2), [1.0, 8.0])
    a = np.array([[0.75, 0.25, 0], [0, 0.5, 0.5]])
    A = Interpolation(X, [[0.25], [1.5]], codomain=Y)
    np.testing.assert_array_equal(matrix(A.H), np.diag([1, 1 / 2, 1 / 4]) @ a.T @ np.diag([1.0, 8.0]))
    B = Interpolation(X, [[0.25], [1.5]], method="nearest", codomain=Y)
    np.testing.assert_array_equal(matrix(B.H), [[1, 0], [0, 4], [0, 0]])
    with pytest.raises(SpaceError, match=r"Interpolation.*expected a codomain of shape \(2,\)"):
        Interpolation(X, [[0.25], [1.5]], codomain=Euclidean(3))


def test_where_shapes_meet() -> None:
    """A result of the domain's shape is a vector of the domain, weights and all, as for every operator."""
    X = Weighted(Euclidean((2, 4)), 2.0)
    assert Interpolation(X, np.zeros((2, 4, 2))).codomain == X
    A = Interpolation(X, np.zeros((2, 2)))  # its four corners for two points make the domain's shape, too
    assert A.codomain == Euclidean(2)
    np.testing.assert_array_equal(matrix(A.H), matrix(A).T / 2)


@pytest.mark.parametrize(
    ("domain", "points", "told"),
    [
        (Euclidean(3), [0.5, 1.5], r"\(\.\.\., 1\), one real coordinate .* found shape \(2,\)"),
        (Euclidean(3), 0.5, r"found shape \(\)"),
        (Euclidean(3), [[1j]], "complex128"),
        (Euclidean(()), np.zeros((2, 0)), r"\(\.\.\., 0\)"),
        (Euclidean((3, 2)), [[2.0, 1.0], [2.5, 0.0], [0, -1]], r"2 of 3 points .* first at \(2.5, 0.0\).* to \(2, 1\)"),
        (Euclidean(3), [[np.nan]], "finite"),
        (Product(Euclidean(3)), [[1.0]], "space of arrays"),
    ],
)
def test_what_are_no_points(domain: Any, points: Any, told: str) -> None:
    """The error names the operator, the space, what was found and what was expected."""
    with pytest.raises(SpaceError, match=f"Interpolation.*{told}"):
        Interpolation(domain, points)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_empty_grids(boundary: Any) -> None:
    """In an empty grid there is nothing to take, not even at the edge."""
    with pytest.raises(SpaceError, match="1 of 1 points lie outside"):
        Interpolation(Euclidean(0), [[0.0]], boundary=boundary)


def test_options() -> None:
    """Other methods are not known."""
    with pytest.raises(ValueError, match="Interpolation: expected method to be 'linear'"):
        Interpolation(Euclidean(3), [[1.0]], method="cubic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Interpolation: expected boundary to be 'error'"):
        Interpolation(Euclidean(3), [[1.0]], boundary="wrap")  # type: ignore[arg-type]
