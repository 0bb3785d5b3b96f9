"""`check_adjoint` passes right operators, and fails wrong ones: these are the mutants."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from linop import (
    Euclidean,
    FunctionOperator,
    Identity,
    LinearOperator,
    Matrix,
    VerificationError,
    Weighted,
    Zero,
    assert_adjoint,
    check_adjoint,
)

pytestmark = pytest.mark.serial

Function = Callable[[np.ndarray], np.ndarray]

MODES = ("matrix", "exact", "floating")


def shift(n: int, dtype: str, fault: Function, *, exact: bool = True) -> LinearOperator:
    """Return the cyclic shift, and an adjoint with a fault."""
    X = Euclidean(n, dtype)
    return FunctionOperator(
        X,
        X,
        lambda x: np.roll(x, 1, axis=-1),
        lambda y: fault(np.roll(y, -1, axis=-1)),
        name="Shift",
        exact=exact,
        roundings=0,
        batched=True,
    )


def dropped(y: np.ndarray) -> np.ndarray:
    """Lose one entry."""
    y[..., 3] = 0
    return y


def swapped(y: np.ndarray) -> np.ndarray:
    """Let two neighbours change places."""
    y[..., [2, 3]] = y[..., [3, 2]]
    return y


def sign(y: np.ndarray) -> np.ndarray:
    """Turn the sign of one entry."""
    y[..., 0] *= -1
    return y


def scaled(y: np.ndarray) -> np.ndarray:
    """Scale by a factor of two."""
    return 2 * y


def twice(y: np.ndarray) -> np.ndarray:
    """Count one entry twice, as an overlap that is added where it should be taken once."""
    y[..., 1] *= 2
    return y


def nan(y: np.ndarray) -> np.ndarray:
    """Return something that is not a number."""
    y[..., 1] = np.nan
    return y


FAULTS = [dropped, swapped, sign, scaled, twice, nan]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("mode", MODES)
def test_the_right_adjoint_passes(mode: str, dtype: str) -> None:
    """Without a fault, every mode passes, and says what it compared."""
    report = check_adjoint(shift(50, dtype, lambda y: y), mode=mode)
    assert report.passed
    assert not report.vacuous
    assert report.mode == mode
    assert report.error <= report.tolerance


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("mode", MODES)
def test_mutants_are_caught(mode: str, fault: Function, dtype: str) -> None:
    """A fault in one entry of the adjoint fails, in every mode and precision."""
    report = check_adjoint(shift(50, dtype, fault), mode=mode)
    assert not report
    assert "FAILED" in str(report)


@pytest.mark.parametrize("fault", [dropped, swapped, sign, twice])
def test_one_entry_in_a_million_is_caught(fault: Function) -> None:
    """Where a relative tolerance is blind, the exact mode sees one wrong entry among many."""
    report = check_adjoint(shift(1_000_000, "float32", fault))
    assert report.mode == "exact"
    assert not report


@pytest.mark.parametrize("mode", MODES)
def test_a_missing_conjugate_is_caught(mode: str) -> None:
    """The transpose of a complex matrix is not its adjoint."""
    entries = np.array([[1, 2j], [3, 1 - 1j]])
    X = Euclidean(2, complex)
    wrong = FunctionOperator(X, X, lambda x: entries @ x, lambda y: entries.T @ y, exact=True)
    right = FunctionOperator(X, X, lambda x: entries @ x, lambda y: entries.conj().T @ y, exact=True)
    assert not check_adjoint(wrong, mode=mode)
    assert check_adjoint(right, mode=mode)


def test_a_missing_conjugate_of_a_scalar_is_caught() -> None:
    """The adjoint of c A conjugates c."""
    X = Euclidean(3, complex)
    wrong = FunctionOperator(X, X, lambda x: 1j * x, lambda y: 1j * y, exact=True)
    assert not check_adjoint(wrong)
    assert check_adjoint(1j * Identity(X))


def test_the_first_wrong_entry_is_named() -> None:
    """The matrix mode says where, and what both sides have."""
    A = FunctionOperator(
        Euclidean((2, 2)), Euclidean(4), lambda x: x.ravel().copy(), lambda y: dropped(y).reshape(2, 2)
    )
    report = check_adjoint(A)
    assert "1 of 16 entries differ, the first in row 3 (index (3,)) and column 3 (index (1, 1))" in report.detail
    assert "the operator has 1.0, its adjoint conjugate transposed 0.0" in report.detail


def test_how_to_check_is_chosen_by_size_and_claims() -> None:
    """Small operators are compared by their matrices, exact ones with ==, others in floating point."""
    assert check_adjoint(shift(512, "float64", lambda y: y)).mode == "matrix"
    assert check_adjoint(shift(513, "float64", lambda y: y)).mode == "exact"
    assert check_adjoint(shift(513, "float64", lambda y: y, exact=False)).mode == "exact", "integers stay integers"
    assert check_adjoint(0.1 * shift(513, "float64", lambda y: y, exact=False)).mode == "floating"


def test_claims_follow_the_algebra() -> None:
    """Sums, products and small scalars of exact operators are exact; others are not."""
    I3, A = Identity(Euclidean(3)), Matrix(np.arange(9).reshape(3, 3))
    inexact = Matrix(np.full((3, 3), 0.1))
    for exact in (I3, A, A @ A, A + I3, 0.5 * A, -3 * A, A.H, Zero(Euclidean(3), Euclidean(3))):
        assert exact.exact, str(exact)
    for other in (inexact, A @ inexact, A + inexact, 0.1 * A, inexact.H, 1e9 * A):
        assert not other.exact, str(other)


def test_fractions_stay_exact() -> None:
    """Powers of two are scaled with exactly."""
    report = check_adjoint(0.25 * shift(600, "float32", lambda y: y) + Identity(Euclidean(600, "float32")))
    assert report.mode == "exact"
    assert report or "too small to be compared" in str(report)


@pytest.mark.parametrize("n", [1, 5, 600])
def test_half_precision_is_compared_exactly(n: int) -> None:
    """Integers and fractions in half precision are compared exactly, as in others, without an overflow on the way."""
    space = Euclidean(n, "float16")
    for operator in (Identity(space), 0.25 * Identity(space)):
        report = check_adjoint(operator)
        assert report
        assert report.tolerance == 0, str(report)


def test_numbers_that_outgrow_the_significand_fall_back() -> None:
    """Where integers do not stay exact, the floating mode takes over, says so, and passes what is right."""
    big = FunctionOperator(
        Euclidean(600, "float32"),
        Euclidean(600, "float32"),
        lambda x: x * np.float32(2**23 + 1),
        lambda y: y * np.float32(2**23 + 1),
        exact=True,
        roundings=1,
    )
    report = check_adjoint(big)
    assert report.mode == "floating"
    assert "do not stay exact" in report.detail
    assert report or "too small to be compared" in str(report)


def test_vacuous_checks_are_said_to_be() -> None:
    """Zero passes, and shows nothing."""
    for n in (3, 1000):
        report = check_adjoint(Zero(Euclidean(n), Euclidean(n)))
        assert report.passed
        assert report.vacuous
        assert "vacuously" in str(report)


@pytest.mark.parametrize("seed", range(40))
def test_no_false_alarms_in_floating_mode(seed: int) -> None:
    """Right operators with roundings pass, whatever the vectors."""
    entries = np.random.default_rng(seed).standard_normal((700, 600)).astype("float32")
    report = check_adjoint(Matrix(entries), seed=seed)
    assert report.mode == "floating"
    assert report, str(report)


def test_assert_adjoint() -> None:
    """It returns nothing, or raises with the report."""
    assert_adjoint(Identity(Euclidean(3)))
    with pytest.raises(VerificationError, match="Shift"):
        assert_adjoint(shift(50, "float64", dropped))


def test_what_is_asked_must_exist() -> None:
    """Unknown modes and no trials are errors; results that are no vectors fail, and are named."""
    A = Identity(Euclidean(3))
    with pytest.raises(ValueError, match="mode"):
        check_adjoint(A, mode="guess")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="trial"):
        check_adjoint(A, trials=0)
    crop = FunctionOperator(Euclidean(3), Euclidean(3), lambda x: x[..., :2], lambda y: y, batched=True)
    report = check_adjoint(crop)
    assert not report
    assert "SpaceError: FunctionOperator" in report.detail


@pytest.mark.parametrize("mode", MODES)
def test_conjugation_is_not_linear_over_the_complex_numbers(mode: str) -> None:
    """It has the matrix of the identity on real vectors, and is its own adjoint there; no mode passes it."""
    X = Euclidean(3, complex)
    assert not check_adjoint(FunctionOperator(X, X, np.conj, np.conj, exact=True), mode=mode)
    assert not check_adjoint(FunctionOperator(X, X, np.copy, np.conj, exact=True), mode=mode)


@pytest.mark.parametrize("n", [5, 1_000_000])
@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0])
def test_wrong_factors_are_seen_in_float32(n: int, factor: float) -> None:
    """In floating mode too, and with many entries, where independent vectors pair to next to nothing."""
    X = Euclidean(n, np.float32)
    wrong = FunctionOperator(X, X, lambda x: np.float32(2.7) * x, lambda y: np.float32(2.7 * factor) * y)
    assert not check_adjoint(wrong, mode="floating")
    right = FunctionOperator(X, X, lambda x: np.float32(2.7) * x, lambda y: np.float32(2.7) * y)
    assert check_adjoint(right, mode="floating")


@pytest.mark.parametrize("function", [np.abs, np.square, lambda x: np.maximum(x, 0)], ids=["abs", "square", "relu"])
@pytest.mark.parametrize("n", [5, 600])
def test_maps_that_are_not_linear_are_caught(n: int, function: Function) -> None:
    """They may have the matrix of the identity."""
    X = Euclidean(n)
    report = check_adjoint(FunctionOperator(X, X, function, function, exact=True))
    assert not report
    assert n == 600 or "the matrices agree, but the maps are not theirs" in report.detail


@pytest.mark.parametrize("n", [5, 600])
def test_changing_the_argument_is_caught(n: int) -> None:
    """An operator leaves its argument alone, and so does its adjoint."""

    def double(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x

    def honest(x: np.ndarray) -> np.ndarray:
        return 2 * x

    X = Euclidean(n)
    for forward, backward in ((double, honest), (honest, double)):
        report = check_adjoint(FunctionOperator(X, X, forward, backward, exact=True))
        assert not report
        assert "changed its argument" in report.detail or "trial 0" in report.detail


@pytest.mark.parametrize("n", [5, 600])
@pytest.mark.parametrize("size", [1e-200, 1e-100, 1e100, 1e200])
@pytest.mark.filterwarnings("ignore:overflow")
def test_tiny_and_huge_operators(n: int, size: float) -> None:
    """A wrong sign is caught at any scale; what is right passes, or is too small to be compared."""
    X = Euclidean(n)
    wrong = FunctionOperator(X, X, lambda x: size * x, lambda y: -size * y)
    assert not check_adjoint(wrong)
    right = FunctionOperator(X, X, lambda x: size * x, lambda y: size * y, roundings=1)
    report = check_adjoint(right)
    assert report or "too small to be compared" in str(report)
    assert not report.vacuous


def test_products_that_outgrow_float32_are_no_false_alarm() -> None:
    """Integer matrices whose product does not fit the significand are compared with a tolerance."""
    generator = np.random.default_rng(0)
    A, B, C = (Matrix(generator.integers(-1000, 1001, (20, 20)).astype("float32")) for _ in range(3))
    assert (A @ B @ C).exact
    assert check_adjoint(A @ B @ C)
    assert check_adjoint(Matrix(generator.integers(-1000, 1001, (20, 20))) ** 6)


def test_an_operator_without_an_adjoint_is_refused() -> None:
    """It cannot be defined: neither of the two ways to write the adjoint is there."""
    with pytest.raises(TypeError, match="Half: a linear operator needs its adjoint"):

        class Half(LinearOperator):
            def _apply(self, x: np.ndarray) -> np.ndarray:
                return x / 2


def test_a_wrong_conjugate_is_shown_entry_by_entry() -> None:
    """The matrix is built from i times the basis too; the report has what either gives."""
    X = Euclidean(3, complex)
    report = check_adjoint(FunctionOperator(X, X, np.copy, np.conj, exact=True))
    assert "3 of 9 entries differ" in report.detail
    assert "on i times the basis, " in report.detail


@pytest.mark.parametrize("n", [4, 600])
def test_two_functions(n: int) -> None:
    """Any two functions can be checked, between any two spaces."""
    X, Y = Euclidean(n), Euclidean(n - 1)
    assert check_adjoint(np.diff, lambda y: -np.diff(y, prepend=0, append=0), X, Y)
    report = check_adjoint(np.diff, lambda y: -np.diff(y, prepend=0, append=1), X, Y)
    assert not report
    assert report.operator == "diff"
    assert_adjoint(np.flip, np.flip, X, X)


@pytest.mark.parametrize("n", [4, 600])
def test_two_functions_and_weights(n: int) -> None:
    """With pairing="inner", the second function is to be the adjoint for the inner products, weights included."""
    X = Weighted(Euclidean(n), 2.0 ** (np.arange(n) % 3))
    Y = Weighted(Euclidean(n), 2.0 ** (np.arange(n) % 4))
    r, s = X.weight, Y.weight
    assert check_adjoint(np.copy, lambda y: s / r * y, X, Y, pairing="inner")
    for wrong in (np.copy, lambda y: r / s * y, lambda y: s * y, lambda y: r * s * y):
        report = check_adjoint(np.copy, wrong, X, Y, pairing="inner")
        assert not report
        assert report.mode == ("matrix" if n == 4 else "exact")
    assert check_adjoint(np.copy, np.copy, X, Y)


def test_what_two_functions_need() -> None:
    """A function comes with its adjoint and two spaces; an operator has them."""
    X = Euclidean(3)
    with pytest.raises(TypeError, match=r"expected operator to be a linear operator .*or a function with its adj"):
        check_adjoint(np.flip, np.flip, X)
    with pytest.raises(TypeError, match=r"expected operator to be a linear operator .*found 3$"):
        check_adjoint(3)
    with pytest.raises(TypeError, match="an operator has its own adjoints and spaces, found adjoint besides"):
        check_adjoint(Identity(X), np.copy)
    with pytest.raises(ValueError, match="pairing"):
        check_adjoint(np.flip, np.flip, X, X, pairing="scalar")  # type: ignore[arg-type]


def test_exactness_is_observed_where_it_is_not_claimed() -> None:
    """Integers that come back as integers are compared with ==; a single rounding is seen, and tolerated."""
    n = 1_000_000
    X = Euclidean(n, np.float32)

    def dropping(y: np.ndarray) -> np.ndarray:
        y = y[::-1].copy()
        y[17] = 0
        return y

    report = check_adjoint(lambda x: x[::-1].copy(), dropping, X, X)
    assert report.mode == "exact"
    assert not report
    third = FunctionOperator(X, X, lambda x: x / np.float32(3), lambda x: x / np.float32(3), roundings=1)
    assert check_adjoint(third).mode == "floating"
    assert check_adjoint(third)


def test_what_cancels_is_no_false_alarm() -> None:
    """Where nothing but roundings is left of a sum, the check is vacuous and does not fail."""
    generator = np.random.default_rng(0)
    a, b = (Matrix(generator.standard_normal((600, 600))) for _ in range(2))
    A = a @ b - Matrix(a.entries @ b.entries)
    report = check_adjoint(A)
    assert report.passed
    assert report.vacuous
    assert not check_adjoint(a @ b - 0.999 * Matrix(a.entries @ b.entries)).vacuous


def test_cancelling_integers_are_no_false_alarm() -> None:
    """Integers that outgrow the significand on the way are not taken for exact when they cancel."""
    generator = np.random.default_rng(0)
    a, b, c = (Matrix(generator.integers(-1000, 1001, (600, 600)).astype(np.float32)) for _ in range(3))
    d = Matrix((b.entries.astype(float) @ c.entries.astype(float)).astype(np.float32))
    assert check_adjoint(a @ b @ c - a @ d)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.complex64])
@pytest.mark.parametrize("n", [5, 600])
def test_vectors_of_another_library(dtype: torch.dtype, n: int) -> None:
    """With `like`, vectors have its library and precision; a wrong adjoint is seen in any."""
    X = Euclidean(n, np.complex64 if dtype.is_complex else np.float32)
    like = torch.zeros(1, dtype=dtype)
    seen = []

    def watch(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.dtype)
        return x.flip(-1)

    assert check_adjoint(watch, watch, X, X, like=like)
    assert not check_adjoint(watch, lambda y: -y.flip(-1), X, X, like=like)
    assert not check_adjoint(watch, lambda y: y * 1, X, X, like=like)
    assert set(seen) == {dtype}


def test_the_seed_is_in_the_report() -> None:
    """A report can be made again."""
    A = shift(600, "float64", dropped)
    assert "seed 7" in str(check_adjoint(A, seed=7))
    assert check_adjoint(A, seed=7) == check_adjoint(A, seed=7) != check_adjoint(A, seed=8)


def test_half_precision_with_many_roundings_is_said_to_show_nothing() -> None:
    """A tolerance above one half passes everything: the report calls that vacuous."""
    X = Euclidean(100_000)
    third = FunctionOperator(X, X, lambda x: x / 3, lambda x: x / 3)
    report = check_adjoint(third, like=torch.zeros(1, dtype=torch.bfloat16))
    assert report.passed
    assert report.vacuous
    assert "cannot be told apart" in report.detail
