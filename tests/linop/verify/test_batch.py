"""`check_batch` fails operators that do not map a batch vector by vector."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from linop import Euclidean, FunctionOperator, Matrix, VerificationError, assert_batch, check_batch

pytestmark = pytest.mark.serial

X = Euclidean(3)


def batched(function: Callable[[np.ndarray], np.ndarray]) -> FunctionOperator:
    """Return an operator that says that it carries the batch."""
    return FunctionOperator(X, X, function, function, name="f", batched=True)


def test_right_batches_pass() -> None:
    """Several axes, and none in one of them."""
    assert check_batch(batched(lambda x: x[..., ::-1].copy()))
    assert check_batch(FunctionOperator(X, X, np.flip, np.flip)), "called for one vector at a time"
    assert check_batch(Matrix(np.random.default_rng(0).standard_normal((40, 30))))


@pytest.mark.parametrize(
    "function", [lambda x: x[::-1].copy(), lambda x: x - x.sum(), lambda x: x + x.sum() * (x.ndim > 1)]
)
def test_mixed_batches_fail(function: Callable[[np.ndarray], np.ndarray]) -> None:
    """Vectors that see each other are found."""
    report = check_batch(batched(function))
    assert not report
    assert "is not f of each vector" in report.detail


def test_a_lost_batch_is_an_error() -> None:
    """A result without the batch is named; so is an error of the operator's own, with the batch that it met."""
    report = check_batch(batched(lambda x: x.reshape(-1)[:2]))
    assert re.search(r"f of a batch \(3,\): SpaceError: f .*ends in shape \(3,\)", report.detail)
    report = check_batch(batched(lambda x: np.reshape(x, (len(x), -1)) if x.ndim == 2 else x.copy()))
    assert re.search(r"trial 2: f of a batch \(0,\): ValueError: cannot reshape", report.detail)
    report = check_batch(batched(lambda x: x.reshape(-1)[:3] if x.size else x))
    assert "has the batch ()" in report.detail


def test_assert_batch() -> None:
    """It returns nothing, or raises with the report."""
    assert_batch(Matrix(np.eye(2)))
    with pytest.raises(VerificationError, match=r"batch of f.*FAILED"):
        assert_batch(batched(lambda x: x[::-1].copy()))
