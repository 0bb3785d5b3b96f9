"""RFFT: the discrete Fourier transform of real arrays."""

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
    Product,
    SpaceError,
    Weighted,
    assert_adjoint,
    assert_pure,
    check_adjoint,
    claims,
    matrix,
)
from linop.operators.spectral.fft import Norm
from linop.operators.spectral.rfft import RFFT, column_counts
from linop.testing import Expression, assert_operator, rffts
from linop.testing.operators.spectral import POWERS

pytestmark = pytest.mark.serial

NORMS: list[Norm] = ["backward", "ortho", "forward"]
MIRRORED: dict[Norm, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


@given(rffts())
def test_transforms(transform: Expression) -> None:
    """It is half of the sum that defines it along any axes, with any norm; the adjoint takes every half spectrum."""
    assert_operator(*transform)


@given(rffts())
def test_gain_is_the_norm(transform: Expression) -> None:
    """The gain is the largest singular value."""
    A, entries = transform
    if A.domain.size:  # a computed singular value is off by less than one eps of the largest for each row
        largest = np.linalg.norm(entries.astype(np.float64), 2)
        assert A.gain == pytest.approx(largest, rel=len(entries) * float(np.finfo(entries.dtype).eps))


@given(rffts())
def test_parseval(transform: Expression) -> None:
    """Where a column weighs as often as it stands in the whole spectrum, A.H A is a multiple of the identity."""
    A = transform.operator
    assert isinstance(A, RFFT)
    half = A.codomain
    weights = np.broadcast_to(column_counts(half, A.last, A.length), half.shape)
    B = RFFT(A.domain, A.axes, norm=A.norm, codomain=Weighted(half, weights))
    x = A.domain.integers(0)
    n = math.prod(A.domain.shape[axis] for axis in A.axes)
    factor = float(n) ** (1 + 2 * POWERS[A.norm])
    allowed = 2 * A.roundings * float(np.finfo(x.dtype).eps) * factor * A.domain.norm(x)
    assert A.domain.norm(B.H(B(x)) - factor * x) <= allowed


# -- what a wrong adjoint looks like -----------------------------------------------------------------------------------


def halved(y: np.ndarray, A: RFFT, counts: np.ndarray) -> np.ndarray:
    """Return numpy's inverse transform of a spectrum whose columns are divided by some counts."""
    lengths = [A.domain.shape[axis] for axis in A.axes]
    axes = [axis - A.domain.ndim for axis in A.axes]
    return np.fft.irfftn(y / counts, s=lengths, axes=axes, norm=MIRRORED[A.norm])


def planted(A: RFFT, counts: np.ndarray) -> FunctionOperator:
    """Return the transform with an adjoint that divides the columns by some counts."""
    return FunctionOperator(A.domain, A.codomain, A, lambda y: halved(y, A, counts), batched=True)


@given(rffts(dtypes=("float64",)), st.booleans())
def test_the_factor_of_two(transform: Expression, large: bool) -> None:
    """The classic mistake, irfftn for the adjoint, is found wherever a column has a mirror image that is not stored."""
    A = transform.operator
    assert isinstance(A, RFFT)
    if large:  # beyond the matrices, where the pairings of random vectors must show it
        shape = tuple(64 + n if axis == A.last else max(n, 1) * 3 for axis, n in enumerate(A.domain.shape))
        A = RFFT(Euclidean(shape), A.axes, norm=A.norm)
    counts = column_counts(A.codomain, A.last, A.length)
    report = check_adjoint(planted(A, np.ones(1)))
    assert report.passed == (A.length <= 2 or A.domain.size == 0)
    assert check_adjoint(planted(A, counts)).passed


@pytest.mark.parametrize("shape", [(6,), (7,), (3, 6), (40, 30), (40, 31)])
def test_other_counts(shape: tuple[int, ...]) -> None:
    """Halving the columns that are their own mirror images, or dividing twice, is found as well."""
    A = RFFT(Euclidean(shape))
    counts = column_counts(A.codomain, A.last, A.length)
    first = counts.copy()
    first[..., 0] = 2
    wrong = [first, counts**2, 1 / counts, 2 * np.ones(1)]
    if shape[-1] % 2 == 0:
        last = counts.copy()
        last[..., -1] = 2
        wrong.append(last)
    assert check_adjoint(planted(A, counts))
    assert [bool(check_adjoint(planted(A, other))) for other in wrong] == [False] * len(wrong)


def test_large_transforms() -> None:
    """The floating check passes in more dimensions, odd and even."""
    for shape in ((31, 37), (30, 36), (5, 7, 16)):
        A = RFFT(Euclidean(shape), norm="ortho")
        assert check_adjoint(A).mode == "floating"
        assert_adjoint(A)


# -- conventions, arrays and spaces ------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("axes", [None, (1, 0), 0])
def test_as_numpy(norm: Norm, axes: Any) -> None:
    """Conventions are those of numpy.fft.rfftn: all axes by default, the last one named is halved."""
    X = Euclidean((3, 4))
    x = X.normal(0)
    found = RFFT(X, axes, norm=norm)(x)
    named = (axes,) if isinstance(axes, int) else axes
    np.testing.assert_array_equal(found, np.fft.rfftn(x, axes=named, norm=norm))


@pytest.mark.parametrize("length", [1, 2, 97, 1009, 2310, 4096, 10007])
def test_roundings(length: int) -> None:
    """The error is within the root of the roundings, the size by which checks go; the adjoint's, too."""
    A = RFFT(Euclidean(length))
    for side in (A, A.dual):
        x = side.domain.normal(length)
        kinds = [("complex64", "complex128"), ("complex128", "clongdouble")]
        if x.dtype.kind == "f":
            kinds = [("float32", "float64"), ("float64", "longdouble")]
        for narrow, wide in kinds:
            found, expected = side(x.astype(narrow)), side(x.astype(narrow).astype(wide))
            eps = float(np.finfo(narrow).eps)
            assert np.finfo(found.dtype).eps == eps
            assert np.finfo(expected.dtype).eps == np.finfo(wide).eps
            assert np.linalg.norm(found - expected) <= math.sqrt(A.roundings) * eps * A.gain * np.linalg.norm(x)


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
def test_imaginary_parts_that_do_not_count(xp: Any) -> None:
    """The adjoint ignores them where a column is its own mirror image in all axes, in every library."""
    A = RFFT(Euclidean((2, 4)))
    y = np.zeros((2, 3), complex)
    y[:, [0, 2]] = 1j * np.array([[1, 2], [3, 4]])
    np.testing.assert_array_equal(np.from_dlpack(A.dual(xp.asarray(y))), np.zeros((2, 4)))
    A = RFFT(Euclidean((3, 4)))  # of three points, the second and the third are mirror images of each other
    y = np.zeros((3, 3), complex)
    y[1, 0] = 1j
    expected = -np.sin(2 * np.pi * np.arange(3) / 3)[:, None] * np.ones(4)
    found = np.from_dlpack(A.dual(xp.asarray(y)))
    np.testing.assert_allclose(found, expected, atol=A.roundings * np.finfo(float).eps)


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
def test_other_arrays_are_vectors(xp: Any) -> None:
    """Integers are transformed as doubles; a real array is a vector of the codomain."""
    A = RFFT(Euclidean(4))
    found = A(xp.asarray([1, 2, 3, 4]))
    assert found.dtype == xp.complex128
    np.testing.assert_array_equal(np.from_dlpack(found), [10, -2 + 2j, -2])
    for dtype, expected in ((xp.float32, xp.float32), (xp.float64, xp.float64), (xp.int64, xp.float64)):
        found = A.dual(xp.asarray([1, 0, 1], dtype=dtype))
        assert found.dtype == expected
        np.testing.assert_array_equal(np.from_dlpack(found), [2, 0, 2, 0])


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
@pytest.mark.parametrize(("shape", "batch"), [((3,), (0,)), ((0, 3), ()), ((0, 3), (2,))])
def test_nothing_to_transform(xp: Any, shape: tuple[int, ...], batch: tuple[int, ...]) -> None:
    """Arrays without entries go through, in every library, with the dtype of a result."""
    A = RFFT(Euclidean(shape), -1)
    found = A(xp.ones((*batch, *shape), dtype=xp.float32))
    assert found.dtype == xp.complex64
    assert tuple(found.shape) == (*batch, *A.codomain.shape)
    back = A.dual(found)
    assert back.dtype == xp.float32
    assert tuple(back.shape) == (*batch, *shape)


@pytest.mark.parametrize("xp", [np, torch, array_api_strict])
@pytest.mark.parametrize("shape", [(1,), (2, 1), (3,)])
def test_results_are_fresh(xp: Any, shape: tuple[int, ...]) -> None:
    """In every library the results are fresh, also along axes of one point."""
    A = RFFT(Euclidean(shape))
    for side in (A, A.dual):
        x = xp.asarray(side.domain.normal(0))
        before = np.array(np.from_dlpack(x))
        result = side(x)
        result[...] = result + 1
        np.testing.assert_array_equal(np.from_dlpack(x), before)
    assert_pure(A)


def test_half_a_spectrum_is_no_isometry() -> None:
    """It claims nothing, with no norm: a column with a mirror image counts once."""
    assert [RFFT(Euclidean(5), norm=norm).claims for norm in NORMS] == [claims.NONE] * 3


def test_weighted_spaces() -> None:
    """Between weighted spaces, A.H is W_X^-1 A^H W_Y."""
    X = Euclidean(4)
    Y = RFFT(X).codomain
    A = RFFT(Weighted(X, [1.0, 2.0, 4.0, 8.0]), codomain=Weighted(Y, [3.0, 1.0, 5.0]))
    entries = matrix(RFFT(X))
    expected = np.diag([1, 0.5, 0.25, 0.125]) @ entries.T @ np.diag([3, 3, 1, 1, 5, 5])
    np.testing.assert_allclose(matrix(A.H), expected, atol=8 * A.roundings * np.finfo(float).eps)
    assert RFFT(Weighted(X, 2.0)).codomain == Y


@pytest.mark.parametrize(
    ("length", "expected"), [(1, [1]), (2, [1, 1]), (3, [1, 2]), (4, [1, 2, 1]), (5, [1, 2, 2]), (6, [1, 2, 2, 1])]
)
def test_counts(length: int, expected: list[int]) -> None:
    """Counts are one for a column that is its own mirror image, two for the others, n in all."""
    half = Euclidean((2, len(expected), 3), complex, "real")
    counts = column_counts(half, 1, length)
    assert counts.shape == (1, len(expected), 1)
    assert counts.ravel().tolist() == expected
    assert counts.sum() == length


@pytest.mark.parametrize(
    ("space", "arguments", "told"),
    [
        (Euclidean(3, complex), {}, "real arrays.*FFT transforms complex ones"),
        (Euclidean(3, complex, "real"), {}, "real arrays.*FFT transforms complex ones"),
        (Product(Euclidean(3)), {}, "space of arrays"),
        (Euclidean(()), {}, "at least one axis"),
        (Euclidean((3, 2)), {"axes": ()}, "at least one axis"),
        (Euclidean((3, 2)), {"axes": 2}, "axes of an array with 2"),
        (Euclidean((3, 2)), {"axes": (1, -1)}, "each once"),
        (Euclidean((3, 0)), {}, "no points"),
        (Euclidean(3), {"codomain": Euclidean(3, complex, "real")}, r"shape \(2,\)"),
        (Euclidean(3), {"codomain": Euclidean(2, complex)}, "field 'real'"),
    ],
)
def test_what_is_no_transform(space: Any, arguments: Any, told: str) -> None:
    """The error names the operator, the space, what was found and what was expected."""
    with pytest.raises(SpaceError, match=f"(?s)RFFT.*{told}"):
        RFFT(space, **arguments)


def test_what_is_no_space() -> None:
    """Another thing than a space is an error of its own."""
    with pytest.raises(TypeError, match="RFFT: expected domain to be a Space"):
        RFFT((3,))  # type: ignore[arg-type]


def test_equality_and_printing() -> None:
    """Equal are transforms that halve the same axis, of the same axes and norm."""
    X = Euclidean((2, 3, 4))
    A = RFFT(X)
    assert A == RFFT(X, (1, 0, 2)) == RFFT(X, (-2, -3, -1))
    assert hash(A) == hash(RFFT(X, (1, 0, 2)))
    assert all(other != A for other in [RFFT(X, (2, 1, 0)), RFFT(X, 2), RFFT(X, norm="ortho"), A.dual])
    assert str(A) == "RFFT(axes=(0, 1, 2))"
    assert str(RFFT(X, 1, norm="ortho").H) == "RFFT(axes=(1,), norm='ortho').H"
