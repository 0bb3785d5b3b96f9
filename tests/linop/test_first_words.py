"""The spelling of NumPy, SciPy and PyLops works, or the error says how it is written here."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator

from linop import (
    CumulativeSum,
    Euclidean,
    Identity,
    LinearOperator,
    LinopError,
    Matrix,
    SpaceError,
    VerificationError,
    assert_adjoint,
    check_adjoint,
    matrix,
    norm_estimate,
    simplify,
)
from linop.solve import cg

pytestmark = pytest.mark.serial

A, x = Matrix([[1.0, 2.0], [3.0, 4.0]]), np.ones(2)
CALLS: dict[str, tuple[Any, str]] = {
    "A @ x": (lambda x: A @ x, r"A\(x\)"),
    "x @ A": (lambda x: x @ A, r"A\.H\(x\)"),
    "A * x": (lambda x: A * x, r"A\(x\)"),
    "x * A": (lambda x: x * A, r"A\(x\)"),
    "A + x": (lambda x: A + x, r"A\(x\)"),
    "A / x": (lambda x: A / x, r"A\(x\)"),
}


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("spelling", CALLS)
def test_vectors_in_products(spelling: str, library: str) -> None:
    """An operator is applied as A(x); a product with an array says so, whatever the array's library."""
    vector = x if library == "numpy" else pytest.importorskip("torch").ones(2)
    call, word = CALLS[spelling]
    with pytest.raises(TypeError, match=word):
        call(vector)


@pytest.mark.parametrize(("name", "word"), [("T", "A.H"), ("shape", "domain"), ("dtype", "domain"), ("matvec", "A(x)")])
def test_attributes_of_matrices(name: str, word: str) -> None:
    """What matrices have, and operators have not, says where it is; nobody takes an operator for an array."""
    with pytest.raises(AttributeError) as caught:
        getattr(A, name)
    assert word in str(caught.value)
    assert not hasattr(A, name)


def test_numbers_of_any_library() -> None:
    """An array without axes is a number; a tensor's gradient would be lost, and is refused."""
    torch = pytest.importorskip("torch")
    assert np.asarray(2.0) * A == A * np.asarray(2.0) == np.float32(2) * A == 2.0 * A
    assert torch.tensor(2.0) * A == A * torch.tensor(2.0) == 2.0 * A
    assert A / np.asarray(2.0) == 0.5 * A
    assert sum([A, A]) == A + A
    with pytest.raises(TypeError, match="gradient"):
        torch.tensor(2.0, requires_grad=True) * A
    with pytest.raises(TypeError, match="Identity"):
        A + 1
    with pytest.raises(ValueError, match="not zero"):
        A / 0


@pytest.mark.parametrize("call", [matrix, norm_estimate, simplify, lambda B: cg(B, x)])
@pytest.mark.parametrize(
    ("other", "word"),
    [
        (np.eye(2), "Matrix"),
        (scipy.sparse.csr_array(np.eye(2)), "from_scipy"),
        (scipy.sparse.csr_matrix(np.eye(2)), "from_scipy"),
        (aslinearoperator(np.eye(2)), "from_scipy"),
    ],
    ids=["array", "sparse array", "sparse matrix", "scipy"],
)
def test_operators_of_other_libraries(call: Any, other: Any, word: str) -> None:
    """Where an operator is wanted, another library's one gets the function that makes one of ours of it."""
    with pytest.raises(TypeError, match=word):
        call(other)
    with pytest.raises(TypeError, match=word):
        A @ other
    assert check_adjoint(other)  # a check takes it as it is


def test_operators_of_pylops() -> None:
    """So does PyLops' operator."""
    pylops = pytest.importorskip("pylops")
    with pytest.raises(TypeError, match="from_pylops"):
        matrix(pylops.MatrixMult(np.eye(2)))
    assert check_adjoint(pylops.MatrixMult(np.eye(2)))


def test_one_class_for_all_errors() -> None:
    """What the library raises on purpose is a LinopError, and one of Python's own kinds."""

    def wrong(X: Any) -> LinearOperator:
        return Identity(X)

    for error, call in (
        (SpaceError, lambda: A(np.ones(3))),
        (TypeError, lambda: wrong(None)),
        (ValueError, lambda: cg(A, x, tolerance=-1.0)),
        (VerificationError, lambda: assert_adjoint(np.copy, np.negative, A.domain, A.domain)),
    ):
        with pytest.raises(error) as caught:
            call()
        assert isinstance(caught.value, LinopError)


def test_sums_of_many_numbers_in_single_precision() -> None:
    """The sum of 2^25 ones is that, though single precision cannot count beyond 2^24."""
    n = 2**25
    assert CumulativeSum(Euclidean(n, np.float32))(np.ones(n, np.float32))[-1] == n


def test_integers_that_do_not_fit() -> None:
    """Integers that would wrap are an error that names the type; those that fit stay integers."""
    with pytest.raises(OverflowError, match="int8"):
        CumulativeSum(Euclidean(300))(np.ones(300, np.int8))
    X = Euclidean(2)
    with pytest.raises(OverflowError, match="int8"):
        (Identity(X) + Identity(X))(np.full(2, 100, np.int8))
    assert CumulativeSum(X)(np.ones(2, np.int8)).dtype == np.int8
