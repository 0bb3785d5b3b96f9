"""What checks, the fixture and the command take: operators of any library, and functions, as they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pylops
import pytest
import scipy.sparse.linalg
import torch

from linop import Diagonal, Euclidean, LinearOperator, assert_correct, check, check_adjoint, matrix
from linop.interop.adopt import operator_of
from linop.testing.fixtures import verified
from linop.verify.__main__ import main
from torch_bridge import from_torch

pytestmark = pytest.mark.serial

X = Euclidean(4)
THIRD = np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 1.0, 0.0, 3.0]])


class Right(torch.autograd.Function):
    """A map of torch's with its adjoint."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return torch.from_numpy(THIRD) @ x

    @staticmethod
    def backward(ctx: Any, y: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return torch.from_numpy(THIRD).T @ y


class Wrong(Right):
    """A map of torch's whose backward pass is twice too large."""

    @staticmethod
    def backward(ctx: Any, y: torch.Tensor) -> torch.Tensor:
        return 2 * Right.backward(ctx, y)


class Lookalike:
    """What acts as an operator of a library of GPU arrays does: it is no subclass of SciPy's."""

    shape, dtype = (2, 4), np.dtype(np.float64)

    def matvec(self, x: Any) -> Any:
        return THIRD @ x

    matmat = matvec

    def rmatvec(self, y: Any) -> Any:
        return THIRD.T @ y

    rmatmat = rmatvec


RIGHT: dict[str, tuple[Any, ...]] = {
    "linop": (Diagonal([1.0, 2.0]),),
    "scipy": (scipy.sparse.linalg.aslinearoperator(THIRD),),
    "pylops": (pylops.MatrixMult(THIRD),),
    "a torch function": (Right, X),
    "a torch module": (torch.nn.Linear(4, 3, bias=False, dtype=torch.float64), X),
    "a pair": (lambda x: np.flip(x).copy(), lambda y: np.flip(y).copy(), X, X),
}

WRONG: dict[str, tuple[Any, ...]] = {
    "scipy": (
        scipy.sparse.linalg.LinearOperator(
            (2, 4), matvec=lambda x: THIRD @ x, rmatvec=lambda y: 2 * THIRD.T @ y, dtype=float
        ),
    ),
    "pylops": (pylops.FunctionOperator(lambda x: THIRD @ x, lambda y: 2 * THIRD.T @ y, 2, 4, dtype="float64"),),
    "a torch function": (Wrong, X),
    "a pair": (lambda x: THIRD @ x, lambda y: 2 * THIRD.T @ y, X, Euclidean(2)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_ones_pass(name: str) -> None:
    """Every kind is taken as it is, alone or in a tuple, and passes."""
    assert_correct(operator_of("test", *RIGHT[name]))
    assert_correct(operator_of("test", RIGHT[name]))
    if len(RIGHT[name]) == 2:  # with its domain
        thing, domain = RIGHT[name]
        assert check_adjoint(thing, domain=domain)
        assert check(thing, domain=domain)
    else:
        assert check_adjoint(*RIGHT[name])
        assert check(*RIGHT[name])


@pytest.mark.parametrize("name", WRONG)
def test_one_report(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixture and the command print the same report as `check` makes, which names the factor."""
    A = operator_of("test", *WRONG[name])
    text = str(check(A))
    assert "the adjoint is 2 times what it should be" in text
    verify = verified.__wrapped__() if hasattr(verified, "__wrapped__") else verified.__pytest_wrapped__.obj()
    with pytest.raises(pytest.fail.Exception) as caught:
        verify(*WRONG[name])
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr("linop.interop.adopt.operator_of", lambda *_: A)
    assert main(["linop.verify.__main__:example"]) == 1
    printed = capsys.readouterr().out.rstrip("\n")
    assert str(caught.value) == text == printed


def test_arrays_of_another_library() -> None:
    """Functions of other arrays go in with `like`: what CuPy's users write, with torch's arrays in their place."""
    roll = torch.roll

    def forward(x: torch.Tensor) -> torch.Tensor:
        assert isinstance(x, torch.Tensor)
        return roll(x, 1, -1)

    assert check_adjoint(forward, lambda y: roll(y, -1, -1), X, X, like=torch.zeros(1))
    assert check(forward, lambda y: roll(y, -1, -1), X, X, like=torch.zeros(1))
    assert not check_adjoint(forward, forward, X, X, like=torch.zeros(1))
    assert check(Lookalike())


def test_from_torch() -> None:
    """The matrix is the function's, for complex numbers too; an output that depends on nothing has a zero gradient."""
    C = Euclidean(3, complex)
    kernel = torch.tensor([1.0, 2.0j, -1.0 + 1.0j], dtype=torch.complex128)
    A = from_torch(lambda x: kernel * x, C)
    np.testing.assert_array_equal(matrix(A), np.diag(kernel.numpy()))
    np.testing.assert_array_equal(matrix(A.H), np.diag(kernel.numpy()).conj())
    assert_correct(A)
    partial = from_torch(lambda x: x.detach() + 0 * x, Euclidean(3))
    assert not check_adjoint(partial)
    assert isinstance(from_torch(torch.nn.Identity(), Euclidean(2)), LinearOperator)


def test_what_is_refused() -> None:
    """The error says what was found, and what to give."""
    with pytest.raises(TypeError, match=r"expected operator to be a linear operator .*found 3"):
        check(3)
    with pytest.raises(TypeError, match="expected the domain of a function of torch's"):
        check(Right)
    with pytest.raises(TypeError, match="an operator has its own adjoints and spaces"):
        check(Diagonal([1.0]), domain=X)
    with pytest.raises(TypeError, match="expected f to return a tensor"):
        from_torch(lambda x: (x, x), X)
