"""Trace is numpy.trace of the last two axes; its adjoint puts a number on the diagonal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Product, Space, SpaceError, Weighted, matrix
from linop.operators.trace import Trace
from linop.testing import DTYPES, assert_operator, dense, shapes

pytestmark = pytest.mark.serial


@st.composite
def squares(draw: st.DrawFn) -> Space:
    """Return spaces of square matrices."""
    n, dtype = draw(st.integers(0, 4)), draw(st.sampled_from(DTYPES))
    field = draw(st.sampled_from([None, "real"])) if dtype.startswith("complex") else None
    return Euclidean((*draw(shapes(max_ndim=2, max_extent=3)), n, n), dtype, field)


@given(squares())
def test_traces(X: Space) -> None:
    """It is numpy.trace, on every kind of space and array."""
    A = Trace(X)
    assert A.exact
    assert A.codomain == Euclidean(X.shape[:-2], X.dtype, X.field)
    assert_operator(A, dense(lambda x: np.asarray(np.trace(x, axis1=-2, axis2=-1)), X, A.codomain))


@given(squares())
def test_identity_matrix(X: Space) -> None:
    """The adjoint of a number is so many times the unit matrix: the trace pairs with it."""
    c = np.asarray(Euclidean(X.shape[:-2], X.dtype).integers(0))
    np.testing.assert_array_equal(Trace(X).H(c), c[..., None, None] * np.eye(X.shape[-1]))


@given(squares())
def test_equality(X: Space) -> None:
    """Equal traces have equal spaces."""
    assert Trace(X) == Trace(X)
    assert hash(Trace(X)) == hash(Trace(X))
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
