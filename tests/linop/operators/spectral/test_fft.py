"""FFT: the discrete Fourier transform of complex arrays."""

import math
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Euclidean,
    FunctionOperator,
    Identity,
    Product,
    SpaceError,
    Weighted,
    assert_adjoint,
    assert_pure,
    check_adjoint,
    claims,
    matrix,
)
from linop.operators.spectral.fft import FFT, Norm
from linop.testing import Expression, assert_operator, ffts

pytestmark = pytest.mark.serial

NORMS: list[Norm] = ["backward", "ortho", "forward"]


@given(ffts())
def test_transforms(transform: Expression) -> None:
    """It is the sum that defines it along any axes, in both directions, with any norm."""
    assert_operator(*transform)


@given(ffts())
def test_inverse_and_adjoint_are_transforms(transform: Expression) -> None:
    """The inverse undoes it; the adjoint is n times the inverse, where the forward transform has no factor."""
    A = transform.operator
    assert isinstance(A, FFT)
    x = A.domain.integers(0)
    size, eps = A.domain.norm(x), float(np.finfo(x.dtype).eps)
    assert A.domain.norm(A.inverted()(A(x)) - x) <= 2 * A.roundings * eps * size
    assert A.inverted().inverted() == A
    assert A.dual.dual == A
    assert A.inverted().dual == A.dual.inverted()
    n = math.prod(A.domain.shape[axis] for axis in A.axes)
    factor = n ** {"backward": 1.0, "ortho": 0.0, "forward": -1.0}[A.norm]
    if A.inverse:
        factor = 1 / factor
    deviation = A.domain.norm(A.dual(x) - factor * A.inverted()(x))
    assert deviation <= 2 * A.roundings * eps * A.gain * size


@given(ffts(), st.sampled_from(NORMS))
def test_there_and_back_is_a_number(transform: Expression, norm: Norm) -> None:
    """The two directions make a multiple of the identity, one where the norms are the same."""
    A, entries = transform
    assert isinstance(A, FFT)
    B = FFT(A.domain, A.axes, norm=norm, inverse=not A.inverse)
    product = A.times_identity(B)
    assert product is not None
    assert A.gain * B.gain == pytest.approx(product.gain, rel=4 * np.finfo(float).eps)
    size = A.gain * B.gain * A.domain.norm(x := A.domain.integers(0))
    assert A.domain.norm(product(x) - A(B(x))) <= 2 * A.roundings * float(np.finfo(entries.dtype).eps) * size
    assert A.times_identity(A.inverted()) == A.inverted().times_identity(A) == Identity(A.domain)
    assert A.times_identity(A) is None


def test_what_is_no_number() -> None:
    """Other axes, the same direction or other weights make no multiple of the identity."""
    X = Euclidean((2, 3), complex)
    A = FFT(X)
    assert A.times_identity(FFT(X, 0, inverse=True)) is None
    assert A.times_identity(FFT(Weighted(X, 2.0), inverse=True, codomain=X)) is None
    assert A.times_identity(Identity(X)) is None
    assert A.dual.times_identity(A) == 6 * Identity(X)


@given(ffts())
def test_gain_is_the_norm(transform: Expression) -> None:
    """The gain is the largest singular value."""
    A, entries = transform
    if A.domain.size:  # a computed singular value is off by less than one eps of the largest for each row
        largest = np.linalg.norm(entries.astype(np.result_type(entries, np.float64)), 2)
        assert A.gain == pytest.approx(largest, rel=len(entries) * float(np.finfo(entries.dtype).eps))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("inverse", [False, True])
def test_as_numpy(norm: Norm, inverse: bool) -> None:
    """Conventions are those of numpy.fft: all axes by default, the norm's names, what the inverse is."""
    X = Euclidean((3, 4), complex)
    x = X.normal(0, (2,))
    expected = (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=(1, 2), norm=norm)
    np.testing.assert_array_equal(FFT(X, norm=norm, inverse=inverse)(x), expected)


@pytest.mark.parametrize("length", [1, 2, 97, 1009, 2310, 4096, 10007])
@pytest.mark.parametrize("inverse", [False, True])
def test_roundings(length: int, inverse: bool) -> None:
    """The error is within the root of the roundings, the size by which checks go, also where the length is prime."""
    A = FFT(Euclidean(length, complex), inverse=inverse)
    x = A.domain.normal(length)
    for narrow, wide in (("complex64", "complex128"), ("complex128", "clongdouble")):
        found, expected = A(x.astype(narrow)), A(x.astype(narrow).astype(wide))
        assert (found.dtype, expected.dtype) == (np.dtype(narrow), np.dtype(wide))
        allowed = math.sqrt(A.roundings) * float(np.finfo(narrow).eps) * A.gain * np.linalg.norm(x)
        assert np.linalg.norm(found - expected) <= allowed


def test_large_transforms_and_a_wrong_norm() -> None:
    """The floating check passes for what is right, and finds an adjoint with another norm's factor."""
    X = Euclidean((31, 37), complex)
    A = FFT(X)
    assert check_adjoint(A).mode == "floating"
    assert_adjoint(A)
    assert_adjoint(FFT(X, 1, norm="ortho", inverse=True))
    for wrong in ("backward", "ortho"):
        B = FFT(X, norm=wrong, inverse=True)
        assert not check_adjoint(FunctionOperator(X, X, A, B))
    assert not check_adjoint(FunctionOperator(X, X, A, FFT(X, norm="forward")))


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
def test_real_arrays_are_vectors(xp: Any) -> None:
    """Real arrays are vectors of a complex space: floating ones in their precision, integers as doubles."""
    X = Euclidean(4, complex)
    for dtype, expected in ((xp.float32, xp.complex64), (xp.float64, xp.complex128), (xp.int64, xp.complex128)):
        x = xp.asarray([[1, 0, 0, 0], [1, 2, 3, 4]], dtype=dtype)
        found = FFT(X)(x)
        assert found.dtype == expected
        np.testing.assert_array_equal(np.from_dlpack(found), [[1, 1, 1, 1], [10, -2 + 2j, -2, -2 - 2j]])


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
@pytest.mark.parametrize(("shape", "axes", "batch"), [((3,), None, (0,)), ((0, 3), 1, (2,)), ((), None, (2,))])
def test_nothing_to_transform(xp: Any, shape: tuple[int, ...], axes: Any, batch: tuple[int, ...]) -> None:
    """Arrays without entries go through, in every library; along no axes, the transform is the identity."""
    A = FFT(Euclidean(shape, complex), axes)
    x = xp.ones((*batch, *shape), dtype=xp.complex64)
    found = A(x)
    assert found is not x
    assert found.dtype == xp.complex64
    np.testing.assert_array_equal(np.from_dlpack(found), np.ones((*batch, *shape)))


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
@pytest.mark.parametrize("shape", [(), (1,), (2, 1), (3,)])
def test_results_are_fresh(xp: Any, shape: tuple[int, ...]) -> None:
    """In every library the result is fresh, also along axes of one point."""
    assert_pure(FFT(Euclidean(shape, complex)), like=xp.zeros(1, dtype=xp.complex128))


def test_claims() -> None:
    """It claims to be unitary with the norm "ortho", where its adjoint is its inverse."""
    X = Euclidean((2, 3), complex)
    A = FFT(X, norm="ortho")
    assert A.claims == claims.UNITARY
    assert A.dual == A.inverted()
    assert FFT(X).claims == FFT(X, norm="forward").claims == claims.NONE


def test_weighted_spaces() -> None:
    """Between weighted spaces, A.H is W_X^-1 A^H W_Y; the inverse goes back to the domain."""
    X = Euclidean(4, complex)
    Xw, Yw = Weighted(X, [1.0, 2.0, 4.0, 8.0]), Weighted(X, [3.0, 1.0, 1.0, 5.0])
    A, entries = FFT(Xw, codomain=Yw), matrix(FFT(X))
    expected = np.diag([1, 0.5, 0.25, 0.125]) @ entries.conj().T @ np.diag([3, 1, 1, 5])
    np.testing.assert_allclose(matrix(A.H), expected, rtol=100 * np.finfo(float).eps)
    assert (A.inverted().domain, A.inverted().codomain) == (Yw, Xw)
    assert FFT(Xw).codomain == Xw


@pytest.mark.parametrize(
    ("space", "arguments", "told"),
    [
        (Euclidean(3), {}, "complex arrays.*RFFT"),
        (Product(Euclidean(3, complex)), {}, "space of arrays"),
        (Euclidean((3, 2), complex), {"axes": 2}, "axes of an array with 2"),
        (Euclidean((3, 2), complex), {"axes": -3}, "axes of an array with 2"),
        (Euclidean((3, 2), complex), {"axes": (1, -1)}, "each once"),
        (Euclidean((3, 0), complex), {}, "no points.*\\(0, 1\\)"),
        (Euclidean(3, complex), {"codomain": Euclidean(4, complex)}, r"shape \(3,\)"),
        (Euclidean(3, complex), {"codomain": Euclidean(3, complex, "real")}, "field"),
    ],
)
def test_what_is_no_transform(space: Any, arguments: Any, told: str) -> None:
    """The error names the operator, the space, what was found and what was expected."""
    with pytest.raises(SpaceError, match=f"(?s)FFT.*{told}"):
        FFT(space, **arguments)


def test_what_is_no_space() -> None:
    """Another thing than a space is an error of its own."""
    with pytest.raises(TypeError, match="FFT: expected domain to be a Space"):
        FFT((3,))  # type: ignore[arg-type]


def test_equality_and_printing() -> None:
    """Equal are transforms of the same axes, in any order and however counted, with the same norm and direction."""
    X = Euclidean((2, 3), complex)
    A = FFT(X)
    assert A == FFT(X, (1, 0)) == FFT(X, (-2, -1))
    assert hash(A) == hash(FFT(X, (1, 0)))
    others = [FFT(X, 0), FFT(X, norm="ortho"), FFT(X, inverse=True), FFT(Euclidean((2, 3), complex, "real"))]
    assert all(other != A for other in others)
    assert str(A) == "FFT(axes=(0, 1))"
    assert str(A.inverted()) == "FFT(axes=(0, 1), inverse=True)"
    assert str(FFT(X, 1).H) == "FFT(axes=(1,), norm='forward', inverse=True)"
