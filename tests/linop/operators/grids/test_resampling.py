"""Resampling interpolates along one axis after the other; scipy's zoom and torch's interpolate agree with it."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from linop import Euclidean, Identity, Product, Reweight, Space, SpaceError, Weighted, matrix
from linop.operators.grids.interpolation import Interpolation
from linop.operators.grids.resampling import Resampling
from linop.testing import Expression, assert_operator, euclidean_spaces, resamplings

pytestmark = pytest.mark.serial

METHODS = ("linear", "nearest")


@given(resamplings())
def test_resamplings(expression: Expression) -> None:
    """It is the Kronecker product of hat functions, on every kind of space and array."""
    A = expression.operator
    assert A.codomain == Euclidean(A.codomain.shape, A.domain.dtype, A.domain.field)
    assert_operator(*expression)


@given(st.data())
def test_it_is_interpolation_on_the_new_grid(data: st.DataObject) -> None:
    """All axes at once give the same, where the points are exact: halving and doubling intervals."""
    X = data.draw(euclidean_spaces(min_ndim=1, max_ndim=2))
    shape = tuple(data.draw(st.sampled_from([n, 2 * n - 1, 4 * n - 3])) if n else 0 for n in X.shape)
    axes = [np.arange(m) * Fraction(n - 1, max(m - 1, 1)) for n, m in zip(X.shape, shape, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(float)
    for method in METHODS:
        A = Resampling(X, shape, method=method)
        assert A.exact
        np.testing.assert_array_equal(matrix(A), matrix(Interpolation(X, points, method=method)))


SHAPES = st.lists(st.integers(2, 9), min_size=2, max_size=2).map(tuple)


@given(SHAPES, SHAPES)
def test_other_libraries(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """scipy.ndimage.zoom of order one and torch.nn.functional.interpolate with aligned corners do the same.

    They round the coordinates, which are up to 8, along each of two axes; between entries of up to 8 values have slopes
    of up to 16. The values themselves have a few roundings more: 2 * 8 * 16 + 8 eps are enough for both.
    """
    x = np.random.default_rng(0).uniform(-8, 8, old)
    found = Resampling(Euclidean(old), new)(x)
    tolerance = 264 * 2.0**-52
    zoomed = scipy.ndimage.zoom(x, np.divide(new, old), order=1, grid_mode=False)
    np.testing.assert_allclose(found, zoomed, rtol=0, atol=tolerance)
    image = torch.asarray(x)[None, None]
    scaled = torch.nn.functional.interpolate(image, new, mode="bilinear", align_corners=True)[0, 0]
    np.testing.assert_allclose(found, scaled.numpy(), rtol=0, atol=tolerance)


@given(st.integers(1, 9), st.integers(2, 60), st.sampled_from(METHODS))
@example(2, 50, "linear")  # 49 * (1 / 49) < 1
def test_end_points(n: int, m: int, method: Any) -> None:
    """The first and the last entry stay, bit by bit."""
    x = np.random.default_rng(0).normal(size=n)
    y = Resampling(Euclidean(n), m, method=method)(x)
    assert (y[0], y[-1]) == (x[0], x[-1])


@given(st.integers(2, 9), st.integers(1, 9), st.integers(1, 4))
def test_there_and_back(n: int, m: int, k: int) -> None:
    """A finer grid that has the old points gives the old values back."""
    X = Euclidean((m, n))
    fine = Resampling(X, (m, k * (n - 1) + 1))
    np.testing.assert_array_equal(matrix(Resampling(fine.codomain, X.shape) @ fine), np.eye(X.size))


def test_one_entry() -> None:
    """An axis of one new entry keeps the first; one of one old entry is repeated."""
    assert matrix(Resampling(Euclidean(3), 1)).tolist() == [[1, 0, 0]]
    assert matrix(Resampling(Euclidean(1), 3)).tolist() == [[1], [1], [1]]


def test_the_expression() -> None:
    """Axes that stay are left out; nothing is the identity."""
    X = Euclidean((3, 2))
    assert Resampling(X, (3, 2)) == Identity(X)
    assert str(Resampling(X, (5, 2), method="nearest")) == "Restriction[[0, 0, 1, 1, 2]]"
    A = Resampling(X, (3, 3))
    assert str(A) == "SumAxes(axes=(2,)) @ Diagonal @ Restriction[:, [[0, 1], [0, 1], [1, 1]]]"
    assert (A, hash(A)) == (Resampling(X, (3, 3)), hash(Resampling(X, (3, 3))))
    assert Resampling(X, (3, 4)) != A


def test_weights() -> None:
    """H follows the weights of both spaces, also where the shape stays."""
    X, Y = Weighted(Euclidean(2), [1.0, 2.0]), Weighted(Euclidean(3), [1.0, 2.0, 4.0])
    a = np.array([[1, 0], [0.5, 0.5], [0, 1]])
    np.testing.assert_array_equal(
        matrix(Resampling(X, 3, codomain=Y).H), np.diag([1, 0.5]) @ a.T @ np.diag([1.0, 2.0, 4.0])
    )
    assert Resampling(X, 2) == Identity(X)
    assert Resampling(X, 2, codomain=Euclidean(2)) == Reweight(X, Euclidean(2))
    single = Euclidean(3, "float32")
    assert Resampling(X, 3, codomain=single).codomain == single


@pytest.mark.parametrize(
    ("domain", "shape", "told"),
    [
        (Euclidean((2, 3)), 4, r"Resampling.*expected a shape of 2 axes with entries, found \(4,\)"),
        (Euclidean(0), 1, r"Resampling.*found \(1,\)"),
        (Product(Euclidean(2)), 2, "Resampling: expected a space of arrays"),
    ],
)
def test_what_is_no_shape(domain: Space, shape: Any, told: str) -> None:
    """The error names the space, what was found and what was expected."""
    with pytest.raises(SpaceError, match=told):
        Resampling(domain, shape)


def test_codomain_and_method() -> None:
    """A codomain must have the new shape, and the method be known."""
    with pytest.raises(SpaceError, match=r"Resampling.*expected a codomain of shape \(4,\)"):
        Resampling(Euclidean(2), 4, codomain=Euclidean(3))
    with pytest.raises(ValueError, match="Resampling: expected method to be 'linear'"):
        Resampling(Euclidean(2), 4, method="cubic")  # type: ignore[arg-type]
