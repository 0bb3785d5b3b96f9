"""Reshape: the same entries in another shape."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Product, SpaceError, Weighted, claims, inverse, matrix
from linop.operators.indexing.reshape import Reshape
from linop.testing import Expression, assert_operator, reshapes, weight_matrix, with_weights

pytestmark = pytest.mark.serial


@given(reshapes())
def test_reshapings(reshaping: Expression) -> None:
    """It reshapes as NumPy does, always to a fresh array, on every kind of space and array."""
    A = reshaping.operator
    assert A.codomain == Euclidean(A.codomain.shape, A.domain.dtype, A.domain.field)
    assert_operator(*reshaping)


@given(reshapes(), st.sampled_from([(), (2,), (0,), (2, 3)]), st.booleans())
def test_fresh_arrays(reshaping: Expression, batch: tuple[int, ...], turned: bool) -> None:
    """Also where NumPy would return a view, or the argument lies in memory the other way round."""
    A = reshaping.operator
    x = A.domain.integers(0, batch)
    x = np.array(x, order="F") if turned else x
    y = A(x)
    assert not np.shares_memory(x, y)
    assert y.flags.writeable
    np.testing.assert_array_equal(y, np.reshape(x, (*batch, *A.codomain.shape)))


@given(reshapes())
def test_unitary(reshaping: Expression) -> None:
    """Its inverse is its adjoint, back to the other shape."""
    A = reshaping.operator
    assert A.claims == claims.UNITARY
    assert inverse(A) == A.dual == Reshape(A.codomain, A.domain.shape)


@pytest.mark.parametrize("kind", ["number", "array", "operator"])
def test_between_weighted_spaces(kind: str) -> None:
    """Given weighted spaces, A.H has the matrix W_X^-1 W_Y, and A.dual goes back to the same weighted space."""
    X, Y = with_weights(Euclidean((2, 3)), kind, 1), with_weights(Euclidean(6), kind, 2)
    A = Reshape(X, 6, codomain=Y)
    assert A.dual == Reshape(Y, (2, 3), codomain=X)
    expected = np.linalg.solve(weight_matrix(X), weight_matrix(Y))
    # exact for powers of two; of an operator, its condition number (below 100) times the size times the roundings
    np.testing.assert_allclose(matrix(A.H), expected, rtol=0, atol=0 if kind != "operator" else 600 * 2.0**-52)


def test_equality_and_printing() -> None:
    """The two spaces make a reshaping."""
    X = Euclidean((2, 6))
    A = Reshape(X, (4, 3))
    assert Reshape(X, [-1, 3]) == A
    assert hash(A) == hash(Reshape(X, [-1, 3]))
    assert Reshape(X, (3, 4)) != A
    assert Reshape(Euclidean((2, 6), np.float32), (4, 3)) != A
    assert Reshape(X, (4, 3), codomain=Weighted(Euclidean((4, 3)), 2.0)) != A
    assert str(A) == "Reshape(4, 3)"
    assert str(Reshape(X, 12)) == str(Reshape(X, -1)) == "Reshape(12,)"


@pytest.mark.parametrize(
    ("domain", "shape"),
    [
        ((2, 3), (4,)),
        ((2, 3), (-1, -1)),
        ((2, 3), (-2, -3)),
        ((2, 3), (-1, 4)),
        ((2, 3), (-1, 0)),
        ((0, 3), (-1, 0)),
        ((2, 3), ()),
    ],
)
def test_what_is_no_shape(domain: tuple[int, ...], shape: Any) -> None:
    """The error names the operator, the space, and the shape that was found."""
    with pytest.raises(SpaceError, match=r"Reshape : Euclidean\(\([02], 3\), float64\): expected .*, found"):
        Reshape(Euclidean(domain), shape)


def test_spaces_that_do_not_fit() -> None:
    """The error names both spaces; a product of spaces has no shape."""
    with pytest.raises(SpaceError, match=r"Reshape\(3, 2\) : .* -> .*expected .* shape \(3, 2\)"):
        Reshape(Euclidean((2, 3)), (3, 2), codomain=Euclidean((2, 3)))
    with pytest.raises(SpaceError, match=r"Reshape.*Product"):
        Reshape(Product(Euclidean(2)), 2)
    with pytest.raises(TypeError, match=r"Reshape.*Space"):
        Reshape(np.zeros(3), 3)  # type: ignore[arg-type]
