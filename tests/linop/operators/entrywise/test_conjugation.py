"""Conjugation: the conjugates of complex entries."""

from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given

from linop import Euclidean, Product, SpaceError, Weighted, assert_adjoint, assert_pure, claims, matrix
from linop.operators.entrywise.conjugation import Conjugation
from linop.operators.entrywise.imaginary_part import ImaginaryPart
from linop.operators.entrywise.real_part import RealPart
from linop.testing import Expression, assert_operator, conjugations

pytestmark = pytest.mark.serial


@given(conjugations())
def test_conjugation(conjugation: Expression) -> None:
    """It is what NumPy calls by that name, exactly, and its own adjoint."""
    A = conjugation.operator
    assert A.exact
    assert_operator(*conjugation)
    assert A.dual == A
    x = A.domain.integers(0)
    np.testing.assert_array_equal(A(A(x)), x)


@given(conjugations())
def test_sums_of_conjugates(conjugation: Expression) -> None:
    """X + conj(x) = 2 Re x, and x - conj(x) = 2 i Im x: equations between operators that are linear over the reals."""
    C, X = conjugation.operator, conjugation.operator.domain
    R, J = RealPart(X), ImaginaryPart(X)
    x = X.integers(0)
    np.testing.assert_array_equal(x + C(x), (2 * R.dual @ R)(x))
    np.testing.assert_array_equal(x - C(x), (2 * J.dual @ J)(x))
    np.testing.assert_array_equal(((R.dual @ R) + (J.dual @ J))(x), x)


def test_claims() -> None:
    """It claims to be unitary and self-adjoint, exactly, and not to be positive."""
    X = Euclidean(2, complex, "real")
    assert Conjugation(X).claims == claims.UNITARY | {claims.SELF_ADJOINT}
    assert Conjugation(X).exact
    assert Conjugation(X, Weighted(X, 2.0)).claims == claims.UNITARY


def test_large_arrays() -> None:
    """The exact check passes beyond the matrices."""
    assert_adjoint(Conjugation(Euclidean((30, 20), complex, "real")))


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
def test_any_array(xp: Any) -> None:
    """In every library the result is fresh memory, which others can read; real arrays are vectors and stay real."""
    A = Conjugation(Euclidean(2, complex, "real"))
    assert_pure(A)
    for dtype in (xp.complex64, xp.complex128, xp.float32, xp.float64, xp.int64):
        entries = [1 + 2j, 3 - 4j] if "complex" in str(dtype) else [1, 3]
        x = xp.asarray(entries, dtype=dtype)
        found = A(x)
        assert found.dtype == dtype
        np.testing.assert_array_equal(np.from_dlpack(found), np.conj(entries))
        found[...] = found + 1
        np.testing.assert_array_equal(np.from_dlpack(x), entries)


def test_weighted_spaces() -> None:
    """Between weighted spaces, A.H is W_X^-1 A^H W_Y."""
    X = Euclidean(2, complex, "real")
    Xw, Yw = Weighted(X, [2.0, 4.0]), Weighted(X, [8.0, 32.0])
    A = Conjugation(Xw, Yw)
    expected = np.diag([0.5, 0.5, 0.25, 0.25]) @ np.diag([1, -1, 1, -1]) @ np.diag([8, 8, 32, 32])
    np.testing.assert_array_equal(matrix(A.H), expected)
    assert A.dual == Conjugation(Yw, Xw)
    assert Conjugation(Xw).codomain == Xw


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (Euclidean(2), "real space of complex arrays, found arrays of float64"),
        (
            Euclidean(2, complex),
            r"not linear over the complex numbers.*Euclidean\(\(2,\), 'complex128', field='real'\)",
        ),
        (Product(Euclidean(2, complex, "real")), "space of arrays"),
    ],
)
def test_other_domains(space: Any, told: str) -> None:
    """The error names the operator, the space and one that would do."""
    with pytest.raises(SpaceError, match=f"Conjugation.*{told}"):
        Conjugation(space)


def test_other_codomains() -> None:
    """The codomain has the domain's arrays; other things are no spaces."""
    X = Euclidean(2, complex, "real")
    with pytest.raises(SpaceError, match=r"Conjugation.*shape \(2,\)"):
        Conjugation(X, Euclidean(3, complex, "real"))
    with pytest.raises(TypeError, match="Conjugation: expected domain to be a Space"):
        Conjugation((2,))  # type: ignore[arg-type]


def test_equality_and_printing() -> None:
    """Equal are conjugations on equal spaces."""
    X = Euclidean(2, complex, "real")
    A = Conjugation(X)
    assert Conjugation(X) == A
    assert hash(Conjugation(X)) == hash(A)
    assert all(B != A for B in (Conjugation(Euclidean(3, complex, "real")), Conjugation(X, Weighted(X, 2.0))))
    assert str(A) == "Conjugation"
