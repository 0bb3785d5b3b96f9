"""Operators of signal processing: flips, shifts, windows, changing kernels, smoothing, Laplacians, cosines."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    DCT,
    DirectionalDerivative,
    Euclidean,
    FiniteDifference,
    Flip,
    FractionalShift,
    Gradient,
    Laplacian,
    LinearOperator,
    NonStationaryConvolution,
    Product,
    Roll,
    Smoothing,
    SpaceError,
    Symmetrise,
    Weighted,
    Windows,
    claims,
    inverse,
    matrix,
)
from linop.errors import ArgumentTypeError
from linop.testing import STRATEGIES, assert_operator

pytestmark = pytest.mark.serial

NAMES = [
    "DCT",
    "DirectionalDerivative",
    "Flip",
    "FractionalShift",
    "Laplacian",
    "NonStationaryConvolution",
    "Roll",
    "Smoothing",
    "Symmetrise",
    "Windows",
]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_they_are_what_their_formulas_say(name: str, data: st.DataObject) -> None:
    """Each has the matrix of its formula, and is right on every kind of space and array."""
    assert_operator(*data.draw(STRATEGIES[name]()))


@pytest.mark.parametrize(
    "A",
    [Flip(Euclidean((2, 3)), 1), Roll(Euclidean(5), 2), DCT(Euclidean((3, 4))), DCT(Euclidean(5), inverse=True)],
    ids=str,
)
def test_unitary_operators(A: LinearOperator) -> None:
    """Their inverses are their adjoints, in closed form."""
    assert A.claims >= claims.UNITARY
    assert inverse(A) == A.dual
    assert A.dual.dual == A
    np.testing.assert_allclose(matrix(A.dual) @ matrix(A), np.eye(A.domain.size), atol=1e-14)


def test_symmetry() -> None:
    """A flip is self-adjoint, a shift by half a period, and Laplacians on grids whose ends are zero or periodic."""
    X = Euclidean((4, 3))
    assert Flip(X) == Flip(X).H
    assert claims.SELF_ADJOINT in Roll(Euclidean(6), 3).claims
    assert claims.SELF_ADJOINT not in Roll(Euclidean(6), 2).claims
    for boundary in ("zero", "periodic"):
        entries = matrix(Laplacian(X, boundary=boundary))  # type: ignore[arg-type]
        np.testing.assert_array_equal(entries, entries.T)


def test_identities() -> None:
    """Two shifts are one; the Laplacian is minus G.H G; windows with a taper of squares that add up to one go back."""
    X = Euclidean(12)
    np.testing.assert_array_equal(matrix(Roll(X, 5) @ Roll(X, -2)), matrix(Roll(X, 3)))
    np.testing.assert_allclose(matrix(FractionalShift(X, 3.0)), matrix(Roll(X, 3)), atol=1e-15)
    half = FractionalShift(Euclidean(9), 0.5)
    np.testing.assert_allclose(matrix(half @ half), matrix(Roll(Euclidean(9), 1)), atol=1e-15)
    G = Gradient(Euclidean((4, 5)), boundary="periodic")
    np.testing.assert_array_equal(matrix(Laplacian(G.domain, boundary="periodic")), -matrix(G.H @ G))
    taper = np.sin(np.pi * (np.arange(4) + 0.5) / 4)
    W = Windows(X, 4, 2, taper=taper)
    x = np.arange(12.0)
    np.testing.assert_allclose(W.H(W(x))[2:-2], x[2:-2], atol=1e-14)
    np.testing.assert_array_equal(Windows(X, 4, 2)(x)[1], x[2:6])
    same = NonStationaryConvolution(X, [[1.0, 2.0, 3.0]], [0])
    np.testing.assert_array_equal(same(x), np.convolve(x, [1.0, 2.0, 3.0], "same"))
    np.testing.assert_allclose(Smoothing(X, 5)(np.ones(12)), np.ones(12), rtol=1e-15)
    D = DirectionalDerivative(Euclidean((3, 4)), [0.0, 1.0])
    np.testing.assert_array_equal(matrix(D), matrix(FiniteDifference(D.domain, 1, scheme="central", boundary="edge")))


def test_equality_and_printing() -> None:
    """Space and parameters make an operator, however they are written."""
    X = Euclidean((4, 3))
    assert Flip(X, -1) == Flip(X, (1,)) != Flip(X)
    assert Roll(X, 1, -2) == Roll(X, (5, 3)) != Roll(X, (1, 1))
    assert DCT(X, (1, 0)) == DCT(X) != DCT(X, 0)
    assert str(Flip(X)) == "Flip(0, 1)"
    assert str(Roll(X, (5, -1))) == "Roll(1, 2)"
    assert (str(DCT(X)), str(DCT(X).H)) == ("DCT(0, 1)", "DCT(0, 1)^-1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: Flip(X, 2), r"Flip on Euclid.*expected each axis once, of 2 axes, found 2"),
        (lambda X: Flip(X, (0, 0)), r"found \(0, 0\)"),
        (lambda X: Flip(X, "ab"), r"Flip: expected axes to be .*found 'ab'"),
        (lambda X: Flip(X, codomain=Euclidean(3)), r"expected a codomain of shape \(4, 3\)"),
        (lambda X: Roll(X, 1.5), r"Roll: expected shift to be a whole number, or a sequence.*found 1.5"),
        (lambda X: Roll(X, (1, 2, 3)), r"found \(1, 2, 3\)"),
        (lambda _: DCT(Euclidean(0)), r"DCT on .*expected entries along axes \(0,\)"),
        (lambda _: Symmetrise(Euclidean((0, 2)), 0), r"Symmetrise on .*one entry or more along axis 0"),
        (lambda X: Windows(X, 5), r"Windows on .*windows that fit into \(4, 3\), found \(5, 5\)"),
        (lambda X: Windows(X, (1, 1, 1)), r"size of one or more, or one for each of up to 2 axes"),
        (lambda X: Windows(X, 2, (1, 0)), r"step of one or more, or 2 of them, found \(1, 0\)"),
        (lambda X: Windows(X, 2, taper=np.ones(3)), r"a taper of shape \(2, 2\), found \(3,\)"),
        (lambda X: NonStationaryConvolution(X, [[1.0, 2.0]], [0]), r"\(count, odd length\), found \(1, 2\)"),
        (lambda X: NonStationaryConvolution(X, [[1.0], [2.0]], [1, 0]), r"2 increasing places, found \[1, 0\]"),
        (lambda X: FractionalShift(X, np.inf), r"a finite shift, found inf"),
        (lambda _: FractionalShift(Euclidean(0), 0.5), r"arrays with entries"),
        (lambda X: Smoothing(X, 2), r"Smoothing on .*an odd width, .*found 2"),
        (lambda X: Smoothing(X, 3, boundary="valid"), r"boundary is 'edge'.*found 'valid'"),
        (lambda X: DirectionalDerivative(X, [1.0]), r"a component and a spacing for each of its 2 axes, found 1 and 2"),
        (lambda X: DirectionalDerivative(X, [1.0, np.ones(2)]), r"broadcast to \(4, 3\), found shape \(2,\)"),
        (lambda X: DirectionalDerivative(X, [1.0, 1.0], boundary="valid"), r"boundary is 'edge'"),
        (lambda X: Laplacian(X, weights=[1.0]), r"Laplacian on .*found 1 and 2"),
        (lambda X: Laplacian(X, boundary="valid"), r"boundary is 'zero'"),
        (lambda X: Roll(Product(X, X), 1), r"a space of arrays in one process"),
    ],
)
def test_what_is_refused(make: Callable[[Any], object], message: str) -> None:
    """The error names the operator, the space or the argument, and what was found."""
    with pytest.raises(
        ArgumentTypeError if "be a whole" in message or "axes to be" in message else SpaceError, match=message
    ):
        make(Euclidean((4, 3)))


def test_between_weighted_spaces() -> None:
    """The unitary ones go between spaces with other weights, and their adjoints come back."""
    X, Y = Weighted(Euclidean(3), [1.0, 2.0, 4.0]), Weighted(Euclidean(3), 0.5)
    for A in (Flip(X, codomain=Y), Roll(X, 1, codomain=Y), DCT(X, codomain=Y)):
        assert (A.dual.domain, A.dual.codomain) == (Y, X)
        expected = np.diag([1.0, 0.5, 0.25]) @ matrix(A).T * 0.5
        np.testing.assert_allclose(matrix(A.H), expected, atol=1e-15)
