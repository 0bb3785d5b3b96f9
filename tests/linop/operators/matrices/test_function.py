"""FunctionOperator: two functions as an operator."""

import numpy as np
import pytest

from linop import Euclidean, FunctionOperator, Product, SpaceError, assert_correct, check_adjoint
from linop.testing import assert_operator

pytestmark = pytest.mark.serial

X, P = Euclidean(4), Product(Euclidean(2), Euclidean(3))


def test_arrays() -> None:
    """Functions of one vector carry a batch, vector by vector."""
    A = FunctionOperator(X, X, *2 * [lambda x: np.flip(x).copy()], name="Flip", exact=True, roundings=0)
    assert_correct(A)
    x = X.integers(0, (2, 3))
    np.testing.assert_array_equal(A(x), x[..., ::-1])
    assert str(A) == "Flip"


def test_tuples() -> None:
    """Functions of tuples, with a batch."""
    A = FunctionOperator(P, P, lambda x: (2 * x[0], 1 * x[1]), lambda y: (2 * y[0], 1 * y[1]), exact=True)
    assert_operator(A, np.diag([2.0, 2.0, 1.0, 1.0, 1.0]))


def test_results_that_are_no_vectors() -> None:
    """A function that returns something else than its codomain's vectors is named."""
    crop = FunctionOperator(X, X, lambda x: x[:-1], lambda y: y, name="Crop")
    for x in (np.ones(4), np.ones((2, 4))):
        with pytest.raises(SpaceError, match="Crop"):
            crop(x)


def test_a_function_with_its_own_batch() -> None:
    """A function that carries the batch is called once."""
    calls = []

    def flip(x: np.ndarray) -> np.ndarray:
        calls.append(x.shape)
        return x[..., ::-1].copy()

    A = FunctionOperator(X, X, flip, flip, batched=True)
    assert check_adjoint(A)
    calls.clear()
    A(np.ones((2, 3, 4)))
    assert calls == [(2, 3, 4)]
