"""Padding: what numpy.pad puts around an array; its adjoint folds it back."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from linop import Euclidean, Product, SpaceError, Weighted, claims, matrix
from linop.operators.indexing.padding import Padding
from linop.operators.indexing.restriction import Restriction
from linop.testing import Expression, assert_operator, dense, paddings, weight_matrix, with_weights
from linop.testing.operators.indexing import NUMPY_MODES

pytestmark = pytest.mark.serial


@given(paddings())
def test_paddings(padding: Expression) -> None:
    """It pads as numpy.pad does, and its adjoint adds what comes from the same entry, on every space and array."""
    assert_operator(*padding)


@given(paddings())
def test_claims_say_all(padding: Expression) -> None:
    """It is an isometry with zeros and unitary where nothing is put; gain and roundings follow from its columns."""
    A, dense_matrix = padding
    often = float(dense_matrix.real.sum(axis=0).max(initial=0.0))
    zeros = A.boundary == "zero"  # type: ignore[attr-defined]
    expected = set(claims.UNITARY) if A.domain == A.codomain else {claims.ISOMETRY} if zeros else set()
    assert A.claims == expected
    assert math.sqrt(often) <= A.gain * (1 + 2**-50)
    assert often <= 2**A.roundings
    if dense_matrix.size:
        assert A.gain == pytest.approx(math.sqrt(often), rel=2**-50)
        assert A.roundings < math.log2(often) + max(A.domain.ndim, 1)  # each axis rounds its rounds up


@pytest.mark.parametrize("mode", sorted(NUMPY_MODES))
@pytest.mark.parametrize(
    "width",
    [2, (1, 3), [1, 3], ((1, 3),), ((1,), (3,)), ((0, 1), (2, 0)), np.array([[0, 1], [2, 0]]), np.int64(2), 0],
)
def test_ways_to_write_the_widths(width: Any, mode: str) -> None:
    """One width, one pair, or one pair for each axis, as numpy.pad takes them."""
    X = Euclidean((2, 3))
    A = Padding(X, width, boundary=mode)
    x = X.integers(0)
    np.testing.assert_array_equal(A(x), np.pad(x, width, mode=NUMPY_MODES[mode]))
    assert Padding(X, A.width, boundary=mode) == A


@pytest.mark.parametrize("mode", ["periodic", "reflect", "edge"])
def test_padding_many_times_the_array(mode: str) -> None:
    """Widths may be many times the extent of the array."""
    X = Euclidean(3)
    A = Padding(X, (100, 37), boundary=mode)
    assert_operator(A, dense(lambda x: np.pad(x, (100, 37), mode=NUMPY_MODES[mode]), X, A.codomain))  # type: ignore[call-overload]


def test_zero_padding_is_the_adjoint_of_cropping() -> None:
    """Padding with zeros and the restriction to the inside are adjoint to each other."""
    X = Euclidean((2, 3))
    A = Padding(X, ((1, 2), (0, 1)))
    crop = Restriction(A.codomain, np.s_[1:3, 0:3])
    y = A.codomain.integers(0)
    np.testing.assert_array_equal(A.H(y), crop(y))
    np.testing.assert_array_equal(matrix(A), matrix(crop.H))


@pytest.mark.parametrize("mode", ["zero", "reflect"])
@pytest.mark.parametrize("kind", ["number", "array", "operator"])
def test_between_weighted_spaces(kind: str, mode: str) -> None:
    """Given weighted spaces, A.H has the matrix W_X^-1 a^H W_Y."""
    X, Y = with_weights(Euclidean(4), kind, 1), with_weights(Euclidean(9), kind, 2)
    A = Padding(X, (3, 2), boundary=mode, codomain=Y)
    a = dense(lambda x: np.pad(x, (3, 2), mode=NUMPY_MODES[mode]), X.unweighted, Y.unweighted)  # type: ignore[call-overload]
    expected = np.linalg.solve(weight_matrix(X), a.T @ weight_matrix(Y))
    # exact for powers of two; of an operator, its condition number (below 100) times the size times the roundings
    np.testing.assert_allclose(matrix(A.H), expected, rtol=0, atol=0 if kind != "operator" else 900 * 2.0**-52)


def test_equality_and_printing() -> None:
    """Space, widths and mode make a padding; it prints them."""
    X = Euclidean((2, 2))
    A = Padding(X, 1)
    assert Padding(X, (1, 1), boundary="zero") == A
    assert hash(A) == hash(Padding(X, (1, 1)))
    assert Padding(X, 1, boundary="edge") != A
    assert Padding(X, (1, 2)) != A
    assert Padding(Euclidean((2, 2), np.float32), 1) != A
    assert Padding(X, 1, codomain=Weighted(Euclidean((4, 4)), 2.0)) != A
    assert str(A) == "Padding((1, 1), zero)"
    assert str(Padding(X, ((1, 0), (0, 2)), boundary="edge")) == "Padding(((1, 0), (0, 2)), edge)"


@pytest.mark.parametrize(
    ("shape", "width", "mode", "told"),
    [
        ((3, 2), -1, "zero", "widths are zero or more, found -1; use Restriction"),
        ((3, 2), (0, -2), "edge", r"found \(0, -2\); use Restriction"),
        ((3, 2), (1, 2, 3), "zero", r"2 such pairs of integers, found \(1, 2, 3\)"),
        ((3, 2), ((1, 2), (3, 4), (5, 6)), "zero", "2 such pairs"),
        ((3, 2), 1.0, "zero", "integers, found 1.0"),
        ((3, 2), True, "zero", "integers, found True"),
        ((3, 2), 1, "constant", "zero, periodic, reflect, edge, found 'constant'"),
        ((0, 2), 1, "edge", "nothing to repeat"),
        ((0, 2), ((1, 0), (0, 0)), "reflect", "nothing to repeat"),
        ((2, 0), 1, "periodic", "nothing to repeat"),
    ],
)
def test_what_is_no_padding(shape: tuple[int, ...], width: Any, mode: Any, told: str) -> None:
    """The error names the operator and the space, and says what was expected."""
    with pytest.raises(SpaceError, match=rf"Padding.* : Euclidean\(\({shape[0]}, {shape[1]}\), float64\).*{told}"):
        Padding(Euclidean(shape), width, boundary=mode)


def test_spaces_that_do_not_fit() -> None:
    """The error names both spaces; a product of spaces is not padded."""
    with pytest.raises(
        SpaceError, match=r"Padding\(\(1, 1\), zero\) : .*\(3,\).* -> .*\(3,\).*expected .* shape \(5,\)"
    ):
        Padding(Euclidean(3), 1, codomain=Euclidean(3))
    with pytest.raises(SpaceError, match=r"Padding.*Product"):
        Padding(Product(Euclidean(2)), 0)
    with pytest.raises(TypeError, match=r"Padding.*Space"):
        Padding(np.zeros(3), 0)  # type: ignore[arg-type]
