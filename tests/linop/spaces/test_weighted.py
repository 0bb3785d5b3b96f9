"""Weighted spaces: another inner product on the same vectors."""

import pickle
from typing import Any

import array_api_strict
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Correlation,
    Euclidean,
    Identity,
    Matrix,
    Product,
    Space,
    SpaceError,
    SparseMatrix,
    Weighted,
    assert_space,
    check_space,
    matrix,
)
from linop.testing import euclidean_spaces, weight_matrix, with_weights

pytestmark = pytest.mark.serial


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Return spaces with weights of any kind."""
    kind = draw(st.sampled_from(["number", "array", "operator"]))
    return with_weights(draw(euclidean_spaces()), kind, draw(st.integers(0, 99)))


@given(spaces())
def test_inner_is_dot_with_the_weights(space: Space) -> None:
    """inner(x, y) == dot(x, R y), exactly on integers; the norm is its root; dot does not change."""
    x, y = space.integers(0), space.integers(1)
    a, b = space.to_coordinates(x), space.to_coordinates(y)
    assert space.inner(x, y) == np.vdot(a, weight_matrix(space) @ b)
    assert space.dot(x, y) == np.vdot(a, b) == space.unweighted.dot(x, y)
    assert space.norm(x) == pytest.approx(np.sqrt(space.inner(x, x).real), rel=1e-14)


@given(spaces())
def test_the_riesz_map(space: Space) -> None:
    """Its matrix is the weights; it is self-adjoint, positive, and its inverse undoes it."""
    np.testing.assert_array_equal(matrix(space.riesz), weight_matrix(space))
    assert_space(space)
    assert space.riesz_inverse @ space.riesz == Identity(space) == space.riesz @ space.riesz_inverse
    assert space.riesz == space.riesz.H == space.riesz.dual


@given(spaces())
def test_inner_of_a_batch(space: Space) -> None:
    """A batch is paired vector by vector."""
    x, y = space.integers(0, (3,)), space.integers(1, (3,))
    np.testing.assert_array_equal(space.inner(x, y), [space.inner(a, b) for a, b in zip(x, y, strict=True)])


@given(spaces(), st.sampled_from([torch, array_api_strict]))
def test_weights_of_any_library(space: Space, xp: Any) -> None:
    """Vectors of other libraries are paired as NumPy's are."""
    x, y = space.integers(0), space.integers(1)
    assert space.inner(xp.asarray(x), xp.asarray(y)) == space.inner(x, y)
    assert type(space.riesz(xp.asarray(x))) is type(xp.asarray(x))


@given(spaces())
def test_pickle_and_equality(space: Space) -> None:
    """Spaces are equal by their parts, hash alike, and survive a pickle."""
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert hash(again) == hash(space)
    assert space != space.unweighted
    assert repr(space.unweighted) in repr(space)


def test_an_operator_as_weights_is_inverted_iteratively() -> None:
    """A mass matrix without a structure is inverted by conjugate gradients, to the precision of the vector."""
    X = Euclidean(30)
    for mass in (
        4 * Identity(X) + Correlation(X, [1, 0, 1], padding="same"),
        SparseMatrix(scipy.sparse.diags_array([1.0, 4.0, 1.0], offsets=[-1, 0, 1], shape=(30, 30))),
    ):
        space = Weighted(X, mass)
        assert check_space(space)
        x = space.normal(0)
        assert space.norm(space.riesz(space.riesz_inverse(x)) - x) < 1e-12 * space.norm(x)  # 100 eps, condition below 3


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (0, "positive"),
        (-1.0, "positive"),
        (np.nan, "finite"),
        (np.inf, "finite"),
        ([1.0, 0.0, 1.0], "positive"),
        ([1.0, np.nan, 1.0], "finite"),
        ([1.0, -2.0, 1.0], r"-2\.0"),
        ([1.0, 2.0], r"shape \(2,\)"),
        (1j, "real"),
        ("a", "real"),
        (Identity(Euclidean(2)), "must map this space to itself"),
    ],
)
def test_weights_that_do_not_fit(weight: Any, told: str) -> None:
    """The error names the space, and what was found."""
    with pytest.raises(SpaceError, match=told) as caught:
        Weighted(Euclidean(3), weight)
    assert "Euclidean((3,), float64)" in str(caught.value)


def test_what_cannot_have_weights() -> None:
    """Weights are put on a space without."""
    with pytest.raises(TypeError, match="Space"):
        Weighted(3, 1.0)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="has weights already"):
        Weighted(Weighted(Euclidean(3), 2.0), 2.0)
    with pytest.raises(SpaceError, match="parts of a product"):
        Weighted(Product(Euclidean(1), Euclidean(1)), [1.0, 2.0])


@pytest.mark.parametrize("entries", [[[2.0, 1.0], [0.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]])
def test_check_space_finds_what_is_no_inner_product(entries: list[list[float]]) -> None:
    """Weights that are not symmetric, or not positive, fail."""
    report = check_space(Weighted(Euclidean(2), Matrix(entries)))
    assert not report
    assert any("FAILED" in line for line in str(report).splitlines())


def test_vectors_are_those_of_the_space() -> None:
    """What is no vector of the space is none with weights."""
    X = Weighted(Euclidean(2), [1.0, 2.0])
    with pytest.raises(SpaceError, match=r"shape \(2,\)"):
        X.check(np.ones(3))
    with pytest.raises(SpaceError, match=r"Weighted.*expected an array that ends in shape \(2,\)"):
        Identity(X)(np.ones(3))
