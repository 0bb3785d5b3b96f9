"""`check_linear` passes linear maps, and fails others."""

from collections.abc import Callable

import numpy as np
import pytest

from linop import Euclidean, FunctionOperator, Identity, Matrix, VerificationError, assert_linear, check_linear

pytestmark = pytest.mark.serial


def function(f: Callable[[np.ndarray], np.ndarray], dtype: str = "float64", **options: bool) -> FunctionOperator:
    """Return an operator on 600 numbers that applies a function both ways."""
    X = Euclidean(600, dtype)
    return FunctionOperator(X, X, f, f, name="f", **options)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_linear_maps_pass(dtype: str, exact: bool) -> None:
    """Exactly where the operator is exact, to its roundings elsewhere."""
    report = check_linear(function(lambda x: np.roll(x, 1), dtype, exact=exact))
    assert report
    assert report.mode == ("exact" if exact else "floating")
    assert check_linear(Matrix(np.random.default_rng(0).standard_normal((600, 50)).astype(dtype)))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("f", [np.abs, np.square, lambda x: np.maximum(x.real, 0), lambda x: x + 1, np.sign])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_others_fail(f: Callable[[np.ndarray], np.ndarray], dtype: str, exact: bool) -> None:
    """Absolute values, thresholds, shifts of the origin."""
    report = check_linear(function(f, dtype, exact=exact))
    assert not report
    assert "is not" in report.detail


def test_one_entry_that_is_not_linear() -> None:
    """One threshold among many entries is seen where comparison is exact."""
    n = 1_000_000
    X = Euclidean(n, np.float32)

    def f(x: np.ndarray) -> np.ndarray:
        y = x.copy()
        y[5] = max(y[5], 0)
        return y

    assert not check_linear(FunctionOperator(X, X, f, f, exact=True))


def test_over_the_complex_numbers() -> None:
    """Conjugation is linear on a real space of complex arrays, not on a complex space."""
    C, R = Euclidean(3, complex), Euclidean(3, complex, field="real")
    assert not check_linear(FunctionOperator(C, C, np.conj, np.conj))
    assert check_linear(FunctionOperator(R, R, np.conj, np.conj))


def test_assert_linear() -> None:
    """It returns nothing, or raises with the report."""
    assert_linear(Identity(Euclidean(2)))
    with pytest.raises(VerificationError, match=r"linearity of f.*FAILED"):
        assert_linear(function(np.abs))
