"""CumulativeSum: sums of all entries up to each one."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Product, SpaceError, claims, matrix
from linop.operators.sums.cumulative_sum import CumulativeSum
from linop.testing import Expression, assert_operator, cumulative_sums, weight_matrix, with_weights

pytestmark = pytest.mark.serial


@given(cumulative_sums())
def test_cumulative_sums(cumulative: Expression) -> None:
    """It sums as NumPy does, its adjoint from the other end, on every kind of space and array."""
    assert_operator(*cumulative)


@given(cumulative_sums(), st.sampled_from([(), (2,), (0,)]))
def test_the_inverse_takes_differences(cumulative: Expression, batch: tuple[int, ...]) -> None:
    """First differences, with zero before the first entry, undo it."""
    A = cumulative.operator
    x = A.domain.integers(0, batch)
    axis = A.axis  # type: ignore[attr-defined]
    before = np.zeros((*x.shape[:axis], 1, *x.shape[x.ndim + axis + 1 :]), x.dtype)
    np.testing.assert_array_equal(np.diff(A(x), axis=axis, prepend=before), x)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 50])
def test_the_gain_is_the_norm(n: int) -> None:
    """The gain is the norm of the matrix, not only a bound."""
    A = CumulativeSum(Euclidean((2, n)))
    # LAPACK's singular values are right to a small multiple of the size times the precision
    assert A.gain == pytest.approx(np.linalg.norm(matrix(A), 2), rel=4 * n * 2.0**-52)


@pytest.mark.parametrize("adjoint", [False, True])
def test_roundings(adjoint: bool) -> None:
    """Each partial sum is right to as many roundings, of all that was added, as the operator says."""
    n = 5000
    A = CumulativeSum(Euclidean(n, np.float32))
    x = A.domain.normal(0)
    found = (A.dual if adjoint else A)(x)
    ordered, result = (x[::-1], found[::-1]) if adjoint else (x, found)
    steps = A.roundings * 2.0**-24
    size = np.cumsum(np.abs(ordered), dtype=np.float64)
    for k in (0, 1, n // 2, n - 1):
        assert abs(float(result[k]) - math.fsum(ordered[: k + 1].tolist())) <= steps / (1 - steps) * size[k]


def test_claims_are_few() -> None:
    """It claims to be exact on integers, and none of the symmetries, which it has not."""
    A = CumulativeSum(Euclidean((3, 2)), 0)
    assert A.exact
    assert A.claims == claims.NONE
    assert A.roundings == 3


@pytest.mark.parametrize("kind", ["number", "array", "operator"])
def test_on_a_weighted_space(kind: str) -> None:
    """Given a weighted space, A.H has the matrix W^-1 a^H W."""
    X = with_weights(Euclidean(5), kind, 1)
    A = CumulativeSum(X)
    a = np.tril(np.ones((5, 5)))
    expected = np.linalg.solve(weight_matrix(X), a.T @ weight_matrix(X))
    # exact for powers of two; of an operator, its condition number (below 100) times the roundings, times the norm of a
    np.testing.assert_allclose(matrix(A.H), expected, rtol=0, atol=0 if kind != "operator" else 2500 * 2.0**-52)


def test_results_are_written_in_order() -> None:
    """The adjoint, too, returns an array in row-major order, which other libraries take without a copy."""
    A = CumulativeSum(Euclidean((3, 2)), 0)
    assert A.dual(np.ones((4, 3, 2))).flags.c_contiguous


def test_equality_and_printing() -> None:
    """Space and axis make it, however the axis is counted."""
    X = Euclidean((2, 2))
    A = CumulativeSum(X)
    assert CumulativeSum(X, 1) == A
    assert hash(A) == hash(CumulativeSum(X, axis=1))
    assert CumulativeSum(X, 0) != A
    assert CumulativeSum(Euclidean((2, 2), np.float32)) != A
    assert str(A) == "CumulativeSum(axis=-1)"


@pytest.mark.parametrize(("shape", "axis"), [((2, 3), 2), ((2, 3), -3), ((), 0), ((), -1)])
def test_axes_that_do_not_exist(shape: tuple[int, ...], axis: Any) -> None:
    """The error names the operator, the space, and the axis that was found."""
    with pytest.raises(SpaceError, match=rf"CumulativeSum : Euclidean\(.*: expected one of its .* axes, found {axis}"):
        CumulativeSum(Euclidean(shape), axis)


def test_spaces_that_do_not_fit() -> None:
    """A product of spaces has no axes."""
    with pytest.raises(SpaceError, match=r"CumulativeSum.*Product"):
        CumulativeSum(Product(Euclidean(2)))
    with pytest.raises(TypeError, match=r"CumulativeSum.*Space"):
        CumulativeSum(np.zeros(3))  # type: ignore[arg-type]
