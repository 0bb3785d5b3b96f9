"""Circulant: periodic convolution with a kernel of full size."""

import math
from typing import Any

import array_api_strict
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Euclidean,
    FunctionOperator,
    Product,
    SpaceError,
    Weighted,
    assert_adjoint,
    assert_correct,
    assert_pure,
    check_adjoint,
    claims,
    matrix,
)
from linop.operators.spectral.circulant import Circulant
from linop.testing import Expression, assert_operator, circulants
from linop.testing.operators.spectral import mirrored

pytestmark = pytest.mark.serial


@given(circulants())
def test_circulants(circulant: Expression) -> None:
    """It is the sum that defines it, for real and complex kernels and arrays in any number of dimensions."""
    assert_operator(*circulant)


@given(circulants())
def test_claims_follow_the_column(circulant: Expression) -> None:
    """It claims to be self-adjoint where its matrix is, and positive where that has no negative eigenvalue, only."""
    A, entries = circulant
    assert isinstance(A, Circulant)
    hermitian = np.array_equal(entries, entries.conj().T)
    assert (claims.SELF_ADJOINT in A.claims) == (A.dual == A) == hermitian
    smallest = np.linalg.eigvalsh(entries.astype(np.complex128)).min() if hermitian else 0.0
    noise = A.roundings * float(np.finfo(entries.dtype).eps) * A.gain
    if smallest > noise:
        assert claims.POSITIVE in A.claims
    if smallest < -noise:
        assert claims.POSITIVE not in A.claims


@pytest.mark.parametrize("shape", [(7,), (12,), (101,), (3, 7), (6, 5, 4)])
@pytest.mark.parametrize("dtype", [float, complex])
def test_any_hermitian_column(shape: tuple[int, ...], dtype: Any) -> None:
    """A Hermitian column makes a self-adjoint circulant, exactly, whatever its transform rounds; another does not."""
    column = Euclidean(shape, dtype).normal(0)
    A = Circulant(column + mirrored(column))
    assert claims.SELF_ADJOINT in A.claims
    assert A.dual == A
    assert not np.any(A.spectrum.imag)
    mirrored_wrongly = column + np.flip(column).conj()
    for other in (column, mirrored_wrongly):
        assert Circulant(other).claims == claims.NONE


@given(circulants())
def test_the_adjoint_is_a_circulant(circulant: Expression) -> None:
    """The adjoint's kernel is the conjugate one, mirrored; no rounding is added on the way."""
    A = circulant.operator
    assert isinstance(A, Circulant)
    assert A.dual.dual == A
    np.testing.assert_array_equal(A.dual.spectrum, A.spectrum.conj())
    first = A(A.domain.basis(0))
    other = Circulant(mirrored(first), A.domain)
    noise = 2 * A.roundings * float(np.finfo(first.dtype).eps) * A.gain
    assert np.abs(other.spectrum - A.dual.spectrum).max() <= noise * math.sqrt(first.size)


@given(circulants())
def test_gain_is_the_norm(circulant: Expression) -> None:
    """The gain is the largest singular value."""
    A, entries = circulant
    largest = np.linalg.norm(entries.astype(np.complex128), 2)
    eps = float(np.finfo(float).eps)  # of the singular values; of the eigenvalues, see `roundings`
    assert A.gain == pytest.approx(largest, rel=(len(entries) + A.roundings * math.sqrt(len(entries))) * eps)


@given(circulants())
def test_inverse(circulant: Expression) -> None:
    """Where no eigenvalue is zero, the inverse undoes it, and is a circulant with the same symmetry."""
    A, entries = circulant
    assert isinstance(A, Circulant)
    condition = np.linalg.cond(entries.astype(np.complex128))
    if condition > 1e12:
        with pytest.raises(SpaceError, match="zero has no inverse"):
            A.inverted()
        return
    B = A.inverted()
    x = A.domain.integers(0)
    allowed = 4 * A.roundings * condition * float(np.finfo(x.dtype).eps) * A.domain.norm(x)
    assert A.domain.norm(B(A(x)) - x) <= allowed
    assert A.domain.norm(A(B(x)) - x) <= allowed
    assert B.claims == A.claims
    assert_correct(B)


@given(circulants(), st.integers(0, 99), st.booleans())
def test_products(circulant: Expression, seed: int, real: bool) -> None:
    """The product of two circulants is one; it commutes, and so is symmetric where both are."""
    A, entries = circulant
    assert isinstance(A, Circulant)
    X = A.domain
    column = X.integers(seed).real if real else X.integers(seed)
    B = Circulant(column + mirrored(column), X)
    product = A.composed(B)
    noise = (A.roundings + B.roundings) * float(np.finfo(entries.dtype).eps) * A.gain * B.gain
    assert np.abs(matrix(product) - matrix(A @ B)).max() <= noise
    assert np.abs(product.spectrum - B.composed(A).spectrum).max() <= noise
    assert (claims.SELF_ADJOINT in product.claims) >= (claims.SELF_ADJOINT in A.claims)
    x = X.integers(1).real
    assert product(x).dtype == (A @ B)(x).dtype


def test_products_between_weighted_spaces() -> None:
    """A product goes from the domain of the one to the codomain of the other; spaces must meet."""
    X = Euclidean(2)
    Xw, Yw = Weighted(X, 2.0), Weighted(X, 3.0)
    A, B = Circulant([1.0, 2.0], X, codomain=Yw), Circulant([3.0, 4.0], Xw, codomain=X)
    assert A.composed(B) == Circulant([11.0, 10.0], Xw, codomain=Yw)
    with pytest.raises(SpaceError, match="cannot compose"):
        B.composed(A)


@pytest.mark.parametrize(
    ("column", "frequency"),
    [
        ([1.0, -1.0], "(0,)"),
        ([1.0, 1.0, 1.0], "(1,)"),
        ([0.0, 0.0], "(0,)"),
        ([0.1, 0.2, -0.3], "(0,)"),
        ([1e-200, 2e-200, -3e-200], "(0,)"),
        ([1e200, 2e200, -3e200], "(0,)"),
        (np.ones((2, 3)) * [[1.0], [-1.0]], "(0, 0)"),
    ],
)
def test_singular_circulants(column: Any, frequency: str) -> None:
    """A spectrum with a zero, or what rounding leaves of one, has no inverse; the error says at which frequency."""
    with pytest.raises(SpaceError) as caught:
        Circulant(column).inverted()
    assert "Circulant : Euclidean" in str(caught.value)
    assert f"at frequency {frequency}" in str(caught.value)


def test_small_circulants_are_not_singular() -> None:
    """What is small as a whole has an inverse all the same."""
    A = Circulant([3e-200, 1e-200])
    np.testing.assert_allclose(A.inverted()(A(np.array([1.0, 2.0]))), [1.0, 2.0], rtol=2 * A.roundings * 2.0**-52)


@pytest.mark.parametrize("column", [[1, 2, 3], [1.5], [1, 2j, 3 + 1j, 4]])
def test_as_scipy(column: Any) -> None:
    """The column is the matrix's first, as for scipy.linalg.circulant."""
    A = Circulant(column)
    expected = scipy.linalg.circulant(column)
    np.testing.assert_allclose(matrix(A), expected, atol=8 * A.roundings * np.finfo(float).eps * A.gain)
    assert A.domain == Euclidean(len(column), np.result_type(np.asarray(column), np.float64))


def test_large_circulants_and_wrong_adjoints() -> None:
    """The floating check passes in more dimensions, odd and even, and finds an adjoint that does not conjugate."""
    for shape, dtype in (((31, 37), float), ((30, 36), float), ((31, 36), complex), ((9, 8, 10), complex)):
        X = Euclidean(shape, dtype)
        A = Circulant(X.normal(1), X)
        assert check_adjoint(A).mode == "floating"
        assert_adjoint(A)
        assert not check_adjoint(FunctionOperator(X, X, A, A, batched=True))


def test_real_stays_real() -> None:
    """A real kernel keeps real arrays real, in a complex space too; a complex one does not. Integers become doubles."""
    for space in (Euclidean(3), Euclidean(3, complex), Euclidean(3, complex, "real")):
        for dtype, expected in (("float32", "float32"), ("float64", "float64"), ("int64", "float64")):
            assert Circulant([1.0, 2.0, 4.0], space)(np.ones(3, dtype)).dtype == expected
    for dtype, expected in (("float32", "complex64"), ("float64", "complex128"), ("int64", "complex128")):
        assert Circulant([1.0, 2j, 4.0])(np.ones(3, dtype)).dtype == expected
    assert Circulant(np.ones(3, np.float32)).domain == Euclidean(3, np.float32)
    assert Circulant(np.ones(3, np.float32)).spectrum.dtype == np.complex128


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
def test_integers(xp: Any) -> None:
    """Integers are convolved as doubles, in every library."""
    found = Circulant([1.0, 2.0])(xp.asarray([3, 4]))
    assert found.dtype == xp.float64
    np.testing.assert_array_equal(np.from_dlpack(found), [11, 10])


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_no_vectors(xp: Any, dtype: str) -> None:
    """A batch of no vectors goes through, in every library."""
    found = Circulant([1.0, 2.0], Euclidean(2, complex))(xp.ones((0, 2), dtype=getattr(xp, dtype)))
    assert tuple(found.shape) == (0, 2)
    assert found.dtype == getattr(xp, dtype)


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
@pytest.mark.parametrize("column", [[2.0], [2j], [[1.0, 2.0, 3.0]]])
def test_results_are_fresh(xp: Any, column: Any) -> None:
    """In every library the result is fresh, also for a single entry."""
    A = Circulant(column)
    assert_pure(A, like=xp.zeros(1, dtype=xp.complex128 if A.domain.dtype.kind == "c" else xp.float64))


def test_weighted_spaces() -> None:
    """Between weighted spaces, A.H is W_X^-1 A^H W_Y; claims need equal spaces, inverse and adjoint go back."""
    X = Euclidean(3)
    Xw, Yw = Weighted(X, [1.0, 2.0, 4.0]), Weighted(X, [3.0, 1.0, 5.0])
    A = Circulant([4.0, 1.0, 1.0], Xw, codomain=Yw)
    expected = np.diag([1, 0.5, 0.25]) @ scipy.linalg.circulant([4, 1, 1]) @ np.diag([3, 1, 5])
    np.testing.assert_allclose(matrix(A.H), expected, atol=8 * A.roundings * np.finfo(float).eps * A.gain)
    assert A.claims == claims.NONE
    for back in (A.dual, A.inverted()):
        assert (back.domain, back.codomain) == (Yw, Xw)
    assert Circulant([4.0, 1.0, 1.0], Xw).codomain == Xw
    assert Circulant([4.0, 1.0, 1.0], Xw).claims == claims.SYMMETRY


@pytest.mark.parametrize(
    ("column", "space", "told"),
    [
        ([], None, r"array of numbers, found shape \(0,\)"),
        (1.0, None, r"array of numbers, found shape \(\)"),
        ([1.0, np.inf], None, "finite"),
        ([1.0, 2.0], Euclidean(3), r"column of shape \(3,\), found \(2,\)"),
        ([1.0, 2j], Euclidean(2), "complex"),
        ([1.0, 2.0], Product(Euclidean(2)), "space of arrays"),
    ],
)
def test_what_is_no_circulant(column: Any, space: Any, told: str) -> None:
    """The error names the operator, the space, what was found and what was expected."""
    with pytest.raises(SpaceError, match=f"(?s)Circulant.*{told}"):
        Circulant(column, space)


def test_other_codomains() -> None:
    """The codomain has the domain's arrays."""
    with pytest.raises(SpaceError, match=r"Circulant.*shape \(2,\)"):
        Circulant([1.0, 2.0], codomain=Euclidean(3))
    with pytest.raises(TypeError, match="Circulant: expected domain to be a Space"):
        Circulant([1.0, 2.0], (2,))  # type: ignore[arg-type]


def test_equality_and_printing() -> None:
    """Equal are circulants of the same kernel on the same spaces; an operator does not change when its array does."""
    column = np.array([1.0, 2.0, 3.0])
    A = Circulant(column)
    column[0] = 7
    assert Circulant([1, 2, 3]) == A
    assert hash(A) == hash(Circulant([1, 2, 3]))
    X = Euclidean(3, complex)
    others = [Circulant([1, 2, 4]), Circulant([1, 2, 3], X), Circulant([1, 2, 3], codomain=Weighted(Euclidean(3), 2.0))]
    assert all(other != A for other in others)
    assert Circulant([1.0, 2.0, 3.0], X) != Circulant(np.array([1.0, 2.0, 3.0], complex), X)  # real arrays stay real
    assert str(A) == str(A.H) == "Circulant"
    with pytest.raises(ValueError, match="read-only"):
        A.spectrum[0] = 0
