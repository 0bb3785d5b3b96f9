"""IRFFT: half spectra to real arrays."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from linop import (
    Compose,
    Euclidean,
    FunctionOperator,
    Product,
    SpaceError,
    Weighted,
    assert_adjoint,
    check_adjoint,
    matrix,
)
from linop.operators.spectral.fft import Norm
from linop.operators.spectral.irfft import IRFFT
from linop.operators.spectral.rfft import RFFT
from linop.testing import Expression, assert_operator, irffts

pytestmark = pytest.mark.serial

NORMS: list[Norm] = ["backward", "ortho", "forward"]


@given(irffts())
def test_transforms(transform: Expression) -> None:
    """It is the inverse transform of the whole spectrum, for every half spectrum and with any norm."""
    assert_operator(*transform)


@given(irffts())
def test_it_undoes_the_transform(transform: Expression) -> None:
    """It is a left inverse of the RFFT of the same norm."""
    A = transform.operator
    assert isinstance(A, Compose)
    scaled = A.factors[0].dual
    assert isinstance(scaled, RFFT)
    norm: Norm = {"backward": "forward", "ortho": "ortho", "forward": "backward"}[scaled.norm]  # type: ignore[assignment]
    F = RFFT(A.codomain, scaled.axes, norm=norm)
    assert F.codomain == A.domain
    x = A.codomain.integers(0)
    allowed = (A.roundings + F.roundings) * float(np.finfo(x.dtype).eps) * A.codomain.norm(x)
    assert A.codomain.norm(A(F(x)) - x) <= allowed


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("shape", "length", "axes"), [((3,), None, None), ((3,), 5, None), ((2, 3), 4, (0, 1)), ((3, 2), 5, (1, 0))]
)
def test_as_numpy(norm: Norm, shape: tuple[int, ...], length: Any, axes: Any) -> None:
    """Conventions are those of numpy.fft.irfftn; the even length is the default."""
    A = IRFFT(Euclidean(shape, complex, "real"), length, axes, norm=norm)
    y = A.domain.normal(0)
    along = tuple(range(len(shape))) if axes is None else axes
    lengths = [A.codomain.shape[axis] for axis in along]
    expected = np.fft.irfftn(y, lengths, axes=along, norm=norm)
    np.testing.assert_allclose(A(y), expected, atol=A.roundings * np.finfo(float).eps * np.abs(expected).max())


@pytest.mark.parametrize("length", [6, 7, 600, 601])
def test_the_factor_of_two(length: int) -> None:
    """The mistake of taking rfft for the adjoint is found: columns with a mirror image count twice."""
    A = IRFFT(Euclidean(length // 2 + 1, complex, "real"), length, norm="forward")
    wrong = FunctionOperator(A.domain, A.codomain, A, np.fft.rfft, batched=True)
    assert not check_adjoint(wrong)
    assert_adjoint(A)


def test_weighted_spaces() -> None:
    """Between weighted spaces, A.H is W_X^-1 A^H W_Y."""
    X, Y = Euclidean(2, complex, "real"), Euclidean(3)
    A = IRFFT(Weighted(X, [2.0, 4.0]), 3, codomain=Weighted(Y, [1.0, 3.0, 5.0]))
    expected = np.diag([0.5, 0.5, 0.25, 0.25]) @ matrix(IRFFT(X, 3)).T @ np.diag([1, 3, 5])
    np.testing.assert_allclose(matrix(A.H), expected, atol=8 * A.roundings * np.finfo(float).eps)
    assert IRFFT(Weighted(X, 2.0), 3).codomain == Y


@pytest.mark.parametrize(
    ("space", "arguments", "told"),
    [
        (Euclidean(3), {}, "real space of complex arrays"),
        (Euclidean(3, complex), {}, "field='real'"),
        (Product(Euclidean(3)), {}, "space of arrays"),
        (Euclidean((), complex, "real"), {}, "at least one axis"),
        (Euclidean(3, complex, "real"), {"length": 6}, "3 columns come of 4 or 5 points, found length 6"),
        (Euclidean(3, complex, "real"), {"length": -4}, "3 columns come of 4 or 5 points"),
        (Euclidean(1, complex, "real"), {}, "1 columns come of 1 points, found length 0"),
        (Euclidean((3, 0), complex, "real"), {}, "no points"),
        (Euclidean((3, 2), complex, "real"), {"axes": 2}, "axes of an array with 2"),
        (Euclidean(3, complex, "real"), {"codomain": Euclidean(3)}, r"shape \(4,\)"),
    ],
)
def test_what_is_no_transform(space: Any, arguments: Any, told: str) -> None:
    """The error names the operator, the space, what was found and what was expected."""
    with pytest.raises(SpaceError, match=f"(?s)IRFFT.*{told}"):
        IRFFT(space, **arguments)


def test_equality_and_printing() -> None:
    """Equal are transforms of the same axes, length and norm; it prints as what it is made of."""
    X = Euclidean((2, 3), complex, "real")
    A = IRFFT(X, 5)
    assert IRFFT(X, 5, (-2, -1)) == A
    assert hash(A) == hash(IRFFT(X, 5, (-2, -1)))
    assert all(other != A for other in [IRFFT(X, 4), IRFFT(X, 5, 1), IRFFT(X, 5, norm="ortho")])
    assert str(A) == "RFFT(axes=(0, 1), norm='forward').H @ Diagonal"
