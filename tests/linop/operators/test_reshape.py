"""Reshape: the same entries in another shape."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Product, SpaceError, Weighted, claims, inverse, matrix
from linop.operators.reshape import Reshape
from linop.testing import Expression, assert_operator, dense, euclidean_spaces, weight_matrix, with_weights

pytestmark = pytest.mark.serial


@st.composite
def shapes_of_size(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    """Return shapes with so many entries."""
    if size == 0:
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        shape.insert(draw(st.integers(0, len(shape))), 0)
        return tuple(shape)
    shape = []
    while size > 1 or draw(st.booleans()):
        shape.append(draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0])))
        size //= shape[-1]
        if len(shape) == 3:
            return (*shape, size)
    return tuple(shape)


@st.composite
def reshapings(draw: st.DrawFn) -> Expression:
    """Return reshapings of every shape to every shape of the same size, some with a -1."""
    X = draw(euclidean_spaces(max_extent=4))
    shape = draw(shapes_of_size(math.prod(X.shape)))
    written = list(shape)
    if written and draw(st.booleans()):
        k = draw(st.integers(0, len(written) - 1))
        if 0 not in shape[:k] + shape[k + 1 :]:
            written[k] = -1
    A = Reshape(X, written)
    assert A.codomain == Euclidean(shape, X.dtype, X.field)
    return Expression(A, dense(lambda x: np.reshape(x, shape), X, A.codomain))


@given(reshapings())
def test_reshapings(reshaping: Expression) -> None:
    """It reshapes as NumPy does, always to a fresh array, on every kind of space and array."""
    assert_operator(*reshaping)


@given(reshapings(), st.sampled_from([(), (2,), (0,), (2, 3)]), st.booleans())
def test_fresh_arrays(reshaping: Expression, batch: tuple[int, ...], turned: bool) -> None:
    """Also where NumPy would return a view, or the argument lies in memory the other way round."""
    A = reshaping.operator
    x = A.domain.integers(0, batch)
    x = np.asfortranarray(x) if turned else x
    y = A(x)
    assert not np.shares_memory(x, y)
    assert y.flags.writeable
    np.testing.assert_array_equal(y, np.reshape(x, (*batch, *A.codomain.shape)))


@given(reshapings())
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
        ((2, 3), (2.0, 3)),
        ((2, 3), "ab"),
        ((2, 3), None),
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
