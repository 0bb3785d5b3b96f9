"""ImaginaryPart: the imaginary parts of complex entries."""

from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given

from linop import Euclidean, LinearOperator, Product, SpaceError, Weighted, assert_adjoint, assert_pure, claims, matrix
from linop.operators.entrywise.imaginary_part import ImaginaryPart
from linop.testing import Expression, assert_operator, imaginary_parts

pytestmark = pytest.mark.serial


@given(imaginary_parts())
def test_the_part(part: Expression) -> None:
    """It is what NumPy calls by that name, exactly; its adjoint puts the part back."""
    A = part.operator
    assert A.exact
    assert A.codomain == Euclidean(A.domain.shape, "float32" if A.domain.dtype == "complex64" else "float64")
    assert_operator(*part)


def test_values() -> None:
    """The map and its adjoint on a vector; there and back is the identity on real arrays."""
    A = ImaginaryPart(Euclidean(2, complex, "real"))
    x, y = np.array([1 + 2j, 3 - 4j]), np.array([5.0, -6.0])
    assert A(x).tolist() == [2.0, -4.0]
    assert A.H(y).tolist() == [5j, -6j]
    assert A(A.H(y)).tolist() == [5.0, -6.0]
    assert A.claims == {claims.COISOMETRY}
    assert A.exact


def test_large_arrays() -> None:
    """The exact check passes beyond the matrices."""
    assert_adjoint(ImaginaryPart(Euclidean((30, 20), complex, "real")))


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
def test_real_arrays_are_vectors(xp: Any) -> None:
    """A real array, in any precision and of integers too, is a vector of the domain; results keep the precision."""
    A = ImaginaryPart(Euclidean(2, complex, "real"))
    for dtype, wide in ((xp.float32, xp.complex64), (xp.float64, xp.complex128), (xp.int64, xp.complex128)):
        x = xp.asarray([1, -2], dtype=dtype)
        found = A(x)
        assert found.dtype == dtype
        found[...] = found + 1
        np.testing.assert_array_equal(np.from_dlpack(found), [1, 1])
        np.testing.assert_array_equal(np.from_dlpack(x), [1, -2])
        back = A.dual(x)
        assert back.dtype == wide
        np.testing.assert_array_equal(np.from_dlpack(back), [1j, -2j])


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
def test_results_are_fresh(xp: Any) -> None:
    """In every library the result is no view of the argument."""
    assert_pure(ImaginaryPart(Euclidean(3, complex, "real")))
    x = xp.asarray([1 + 2j, 3 - 4j], dtype=xp.complex128)
    found = ImaginaryPart(Euclidean(2, complex, "real"))(x)
    found[...] = found + 1
    np.testing.assert_array_equal(np.from_dlpack(x), [1 + 2j, 3 - 4j])


def test_weighted_spaces() -> None:
    """Between weighted spaces, A.H is W_X^-1 A^H W_Y."""
    X = Euclidean(2, complex, "real")
    A: LinearOperator = ImaginaryPart(Weighted(X, [2.0, 4.0]), Weighted(Euclidean(2), [8.0, 32.0]))
    expected = np.diag([0.5, 0.5, 0.25, 0.25]) @ matrix(ImaginaryPart(X)).T @ np.diag([8, 32])
    np.testing.assert_array_equal(matrix(A.H), expected)
    assert ImaginaryPart(Weighted(X, 2.0)).codomain == Euclidean(2)


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
    with pytest.raises(SpaceError, match=f"ImaginaryPart.*{told}"):
        ImaginaryPart(space)


def test_other_codomains() -> None:
    """The codomain has real arrays of the same shape; other things are no spaces."""
    X = Euclidean(2, complex, "real")
    for codomain in (Euclidean(3), X):
        with pytest.raises(SpaceError, match=r"ImaginaryPart.*expected a codomain"):
            ImaginaryPart(X, codomain)
    with pytest.raises(TypeError, match="ImaginaryPart: expected domain to be a Space"):
        ImaginaryPart((2,))  # type: ignore[arg-type]


def test_equality_and_printing() -> None:
    """Equal are parts on equal spaces."""
    X = Euclidean(2, complex, "real")
    A = ImaginaryPart(X)
    assert ImaginaryPart(X) == A
    assert hash(ImaginaryPart(X)) == hash(A)
    assert all(
        B != A
        for B in (ImaginaryPart(Euclidean(3, complex, "real")), ImaginaryPart(X, Weighted(Euclidean(2), 2.0)), A.dual)
    )
    assert A.dual.dual == A
    assert (str(A), str(A.H)) == ("ImaginaryPart", "ImaginaryPart.H")
