"""`check_batch` fails operators that do not map a batch vector by vector."""

from collections.abc import Callable

import numpy as np
import pytest

from linop import Euclidean, FunctionOperator, Matrix, SpaceError, VerificationError, assert_batch, check_batch

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
    """A result without the batch is named."""
    with pytest.raises(SpaceError, match=r"f .*ends in shape \(3,\)"):
        check_batch(batched(lambda x: x.reshape(-1)[:2]))
    report = check_batch(batched(lambda x: x.reshape(-1)[:3] if x.size else x))
    assert "has the batch ()" in report.detail


def test_assert_batch() -> None:
    """It returns nothing, or raises with the report."""
    assert_batch(Matrix(np.eye(2)))
    with pytest.raises(VerificationError, match=r"batch of f.*FAILED"):
        assert_batch(batched(lambda x: x[::-1].copy()))
