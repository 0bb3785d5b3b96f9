"""`check_pure` fails operators that touch their argument, share memory, or forget what they gave."""

import itertools

import numpy as np
import pytest
import torch

from linop import (
    Euclidean,
    FunctionOperator,
    Identity,
    Matrix,
    Product,
    VerificationError,
    arrays,
    assert_pure,
    check_pure,
)

pytestmark = pytest.mark.serial

X = Euclidean((3, 4))
kept = np.zeros((3, 4))


def in_place(x: np.ndarray) -> np.ndarray:
    x *= 2
    return x.copy()


def view(x: np.ndarray) -> np.ndarray:
    return x[::-1]


def buffer(x: np.ndarray) -> np.ndarray:
    kept[:] += x
    return kept


def forgetful() -> object:
    calls = iter(range(1000))
    return lambda x: x + next(calls)


def layout(x: np.ndarray) -> np.ndarray:
    return 2 * x if x.flags.c_contiguous else 3 * x


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (in_place, "has changed its argument"),
        (view, "shares memory with its argument"),
        (lambda x: x, "shares memory with its argument"),
        (buffer, "another result when it is called again"),
        (forgetful(), "another result when it is called again"),
        (layout, "in another layout of memory"),
        (lambda x: x.astype(np.float32), "has made float32 of float64"),
        (lambda x: torch.asarray(x) * 2, "has made"),
    ],
)
@pytest.mark.parametrize("side", ["forward", "adjoint"])
def test_impure_functions_fail(function: object, told: str, side: str) -> None:
    """The report says what was found; the adjoint is looked at, too."""
    pair = (function, np.copy) if side == "forward" else (np.copy, function)
    report = check_pure(FunctionOperator(X, X, *pair, name="f"))  # type: ignore[arg-type]
    assert not report
    assert told in report.detail


def test_pure_functions_pass() -> None:
    """A fresh result, the same each time."""
    assert check_pure(Identity(X))
    assert check_pure(Identity(X), like=torch.zeros(1, dtype=torch.bfloat16))


def test_assert_pure() -> None:
    """It returns nothing, or raises with the report."""
    assert_pure(Identity(X))
    with pytest.raises(VerificationError, match=r"purity of f.*shares memory"):
        assert_pure(FunctionOperator(X, X, view, view, name="f"))


def test_parts_that_share_memory() -> None:
    """The arrays of one result are different arrays; a result that has one of them twice is found."""
    twice = FunctionOperator(X, Product(X, X), lambda x: (x.copy(),) * 2, lambda y: y[0] + y[1], name="Twice")
    assert "parts of the result of Twice share memory" in check_pure(twice).detail
    number = Euclidean(())
    for codomain in (Product(number, number), Product(X, number), Product(Product(number, X), number)):
        A = Matrix(np.ones((codomain.size, codomain.size)), codomain, codomain)
        assert check_pure(A)
        for batch in ((), (3,)):
            parts = arrays.leaves(A(codomain.integers(0, batch)))
            assert not any(np.may_share_memory(a, b) for a, b in itertools.combinations(parts, 2))
