"""Reports say where an adjoint is wrong, after a few applications, and what mistake it looks like."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pylops
import pytest
import torch

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import Euclidean, FunctionOperator, LinearOperator, Space, Weighted, check_adjoint, from_pylops
from linop.verify.__main__ import main
from linop.verify.diagnose import diagnose, locate

pytestmark = pytest.mark.serial

SIZES = [64, 100_000]
Maker = Callable[[int], LinearOperator]


def pair(n: int, forward: Any, backward: Any, dtype: str = "float64", space: Space | None = None) -> LinearOperator:
    """Return an operator of two functions."""
    X = Euclidean(n, dtype) if space is None else space
    return FunctionOperator(X, X, forward, backward, roundings=10)


def blur(kernel: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return a correlation along the last axis, with zeros beyond its ends."""

    def apply(x: np.ndarray) -> np.ndarray:
        padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 1)])
        n = x.shape[-1]
        return sum(k * padded[..., i : i + n] for i, k in enumerate(kernel))  # type: ignore[no-any-return]

    return apply


def square(n: int) -> Euclidean:
    """Return images of about so many pixels."""
    side = int(np.sqrt(n))
    return Euclidean((side, side))


def weights(n: int) -> np.ndarray:
    return np.linspace(1.0, 2.0, n)


def images(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a difference with the next entry along one of two axes, periodic."""
    return lambda x: np.roll(x, -1, axis) - 2 * x


MISTAKES: dict[str, tuple[Maker, str]] = {
    "a factor": (lambda n: pair(n, lambda x: 2 * x, lambda y: 6 * y), "the adjoint is 3 times"),
    "one over a factor": (lambda n: pair(n, lambda x: 2 * x, lambda y: y), "the adjoint is 1/2 times"),
    "a factor of n": (lambda n: pair(n, np.copy, lambda y: n * y), " times what it should be"),
    "an imaginary factor": (lambda n: pair(n, np.copy, lambda y: 1j * y, "complex128"), "the adjoint is 0+1j times"),
    "a sign": (lambda n: pair(n, blur([0, -1, 1]), blur([-1, 1, 0])), "a sign: the adjoint is minus"),
    "nothing": (lambda n: pair(n, np.copy, lambda y: 0 * y), "a zero: the adjoint gives nothing"),
    "no conjugate": (
        lambda n: pair(n, lambda x: (1 + 2j) * x, lambda y: (1 + 2j) * y, "complex128"),
        "1j times|conjug",
    ),
    "no conjugate of a field": (
        lambda n: pair(n, lambda x: np.exp(1j * weights(n)) * x, lambda y: np.exp(1j * weights(n)) * y, "complex128"),
        "a conjugate that is missing: the adjoint is the transpose",
    ),
    "a kernel that is not mirrored": (
        lambda n: pair(n, blur([1, 2, 4]), blur([1, 2, 4])),
        "a kernel that is not mirrored",
    ),
    "a shift": (lambda n: pair(n, blur([1, 2, 4]), lambda y: np.roll(blur([4, 2, 1])(y), 1, -1)), "shifted by 1 along"),
    "a shift back": (lambda n: pair(n, np.copy, lambda y: np.roll(y, -2, -1)), "shifted by -2 along axis 0"),
    "a flip": (lambda n: pair(n, lambda x: weights(n) * x, lambda y: (weights(n) * y)[..., ::-1]), "runs backwards"),
    "a transposed image": (
        lambda n: pair(n, images(-1), lambda y: np.roll(y, 1, -2) - 2 * y, space=square(n)),
        "a kernel that is transposed",
    ),
    "an image of swapped axes": (
        lambda n: pair(n, images(-1), lambda y: np.swapaxes(np.roll(y, 1, -1) - 2 * y, -1, -2).copy(), space=square(n)),
        "has its axes swapped",
    ),
    "weights in the adjoint": (
        lambda n: pair(
            n,
            blur([1, 2, 4]),
            lambda y: blur([4, 2, 1])(weights(n) * y) / weights(n),
            space=Weighted(Euclidean(n), weights(n)),
        ),
        "right for `inner`",
    ),
    "weights of one side": (
        lambda n: pair(n, np.copy, lambda y: weights(n) * y, space=Weighted(Euclidean(n), weights(n))),
        "weights on the wrong side",
    ),
    "an affine map": (lambda n: pair(n, lambda x: x + 1, np.copy), "an affine map: the operator takes zero to"),
    "an affine adjoint": (lambda n: pair(n, np.copy, lambda y: y + 1), "an affine map: the adjoint takes zero to"),
    "a map that is not linear": (lambda n: pair(n, np.abs, np.copy), "the operator that is not linear"),
    "a map that conjugates": (lambda n: pair(n, np.conj, np.conj, "complex128"), "that conjugates its argument"),
    "a map of chance": (
        lambda n: pair(n, lambda x: x * np.random.default_rng().uniform(1, 2), np.copy),
        "not a function: applied twice",
    ),
    "torch's transpose of a padding": (
        lambda n: FunctionOperator(
            Euclidean(n),
            Euclidean(n + 2),
            lambda x: np.asarray(torch.nn.functional.pad(torch.from_numpy(x), (1, 1))),
            lambda y: np.asarray(torch.from_numpy(y)[..., :-2].clone()),
        ),
        "shifted by",
    ),
    "pylops with a factor": (
        lambda n: from_pylops(_Halved(pylops.FirstDerivative(n, kind="forward"))),
        "the adjoint is 1/2 times",
    ),
}


class _Halved(pylops.LinearOperator):
    """An operator of pylops whose adjoint is half of what it should be."""

    def __init__(self, Op: Any) -> None:
        super().__init__(dtype=Op.dtype, shape=Op.shape)
        self.Op_ = Op

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.Op_._matvec(x))

    def _rmatvec(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.Op_._rmatvec(x)) / 2


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name: str, n: int) -> None:
    """Each of the usual mistakes is found, and named, whatever the size."""
    make, expected = MISTAKES[name]
    A = make(n)
    report = check_adjoint(A, trials=2)
    assert not report, str(report)
    assert any(words in report.detail for words in expected.split("|")), report.detail


@pytest.mark.parametrize("n", [600, 100_000])
def test_one_entry_is_found_by_halving(n: int) -> None:
    """A single wrong entry is named with its row, its column and both values, after some forty applications."""
    applications = 0

    def forward(x: np.ndarray) -> np.ndarray:
        nonlocal applications
        applications += 1
        y = x.copy()
        y[..., n // 3] += 0.5 * x[..., n // 7]
        return y

    def backward(y: np.ndarray) -> np.ndarray:
        nonlocal applications
        applications += 1
        x = y.copy()
        x[..., n // 7] += 0.25 * y[..., n // 3]
        return x

    A = FunctionOperator(Euclidean(n), Euclidean(n), forward, backward)
    assert locate(A) == (
        f"the entry in row {n // 3} (index ({n // 3},)) and column {n // 7} (index ({n // 7},)) is 0.5; its adjoint "
        "conjugate transposed has 0.25"
    )
    assert applications <= 2 * 2 * np.ceil(np.log2(n)) + 6
    assert "is 0.5; its adjoint conjugate transposed has 0.25" in check_adjoint(A).detail


def test_the_rank_of_an_entry_is_named() -> None:
    """Across ranks, the row and the column are named with their ranks, the same on every rank."""

    def main_(world: World) -> str:
        S = DistributedSpace(Grid(world, p=world.size), (900,), p=Split(0))
        H = HaloExchange(S, {0: (1, 1)})

        def wrong(y: np.ndarray) -> np.ndarray:
            z = y.copy()
            if world.rank == 1:
                z[..., 0] = 0  # what came from rank 0 does not go back
            return H.H(z)

        report = check_adjoint(FunctionOperator(S, H.codomain, H, wrong), trials=2)
        assert not report
        return report.detail

    details = simulate(3, main_)
    assert len(set(details)) == 1
    assert "(rank 1, index (0,)) and column 299 (rank 0, index (299,)) is 1.0; its adjoint conj" in details[0]


def test_right_operators_are_not_diagnosed() -> None:
    """Nothing is found where nothing is wrong: each form is zero, and no entry differs."""
    for n in (8, 700):
        A = pair(n, blur([1, 2, 4]), blur([4, 2, 1]))
        assert check_adjoint(A)
        assert locate(A) == ""
        assert diagnose(A) == ""


def test_no_mistake_is_made_up() -> None:
    """Of a symmetric operator with a right adjoint, which changes its argument, only that is told."""

    def greedy(x: np.ndarray) -> np.ndarray:
        y = 2 * x
        x[..., 0] = 0
        return y

    report = check_adjoint(FunctionOperator(Euclidean(700), Euclidean(700), greedy, lambda y: 2 * y), trials=2)
    assert not report
    assert "the operator that changes its argument" in report.detail
    assert "looks like a kernel" not in report.detail


@pytest.mark.parametrize("n", [8, 64])
def test_symmetric_operators_have_no_kind(n: int) -> None:
    """That an adjoint is the operator itself is no mistake where it is right."""
    symmetric = pair(n, blur([1, 2, 1]), blur([1, 2, 1]))
    assert check_adjoint(symmetric)
    assert diagnose(symmetric) == ""


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``python -m linop.verify module:operator`` prints the reports, and its status says whether all passed."""
    (tmp_path / "mine_to_verify.py").write_text(
        "import numpy as np, scipy.sparse.linalg\n"
        "from linop import Diagonal, Euclidean, FunctionOperator\n"
        "right = Diagonal([1.0, 2.0])\n"
        "def wrong():\n"
        "    return FunctionOperator(Euclidean(3), Euclidean(3), lambda x: x, lambda y: 2 * y)\n"
        "theirs = scipy.sparse.linalg.aslinearoperator(np.eye(3))\n"
        "nothing = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["mine_to_verify:right", "mine_to_verify:theirs"]) == 0
    assert "adjoint of Diagonal([1.0, 2.0])" in capsys.readouterr().out
    assert main(["mine_to_verify:wrong"]) == 1
    assert "a factor: the adjoint is 2 times what it should be" in capsys.readouterr().out
    with pytest.raises(TypeError, match=r"mine_to_verify:nothing: .*expected operator to be a linear.*found 3"):
        main(["mine_to_verify:nothing"])
    with pytest.raises(ValueError, match=r"expected module:operator, found 'mine'"):
        main(["mine"])


def test_the_fixture(tmp_path: Path) -> None:
    """The fixture fails a test with the report, and passes one whose operator is right."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["linop.testing.fixtures"]\n')
    (tmp_path / "test_it.py").write_text(
        "from linop import Diagonal, Euclidean, FunctionOperator\n"
        "def test_right(verified):\n    verified(Diagonal([1.0, 2.0]))\n"
        "def test_wrong(verified):\n"
        "    X = Euclidean(3)\n    verified(FunctionOperator(X, X, lambda x: x, lambda y: 2 * y))\n"
    )
    root = str(Path(__file__).parents[3])
    job = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        env={"PYTHONPATH": root, "PATH": "/usr/bin"},
        check=False,
    )
    assert "1 failed, 1 passed" in job.stdout, job.stdout + job.stderr
    assert "the adjoint is 2 times what it should be" in job.stdout
