"""Reports say where an adjoint is wrong, after a few applications, and what mistake it looks like."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import Euclidean, FunctionOperator, check_adjoint
from linop.verify.__main__ import main
from linop.verify.diagnose import diagnose, locate

pytestmark = pytest.mark.serial

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import mistakes  # noqa: E402
from mistakes import DISTRIBUTED, MISTAKES, SIZES, blur, pair  # noqa: E402


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name: str, n: int) -> None:
    """Each of the usual mistakes is found, and named, whatever the size."""
    make, expected = MISTAKES[name]
    A = make(n)
    report = check_adjoint(A, trials=2)
    assert not report, str(report)
    assert any(words in report.detail for words in expected.split("|")), report.detail


def test_mistakes_between_processes_are_named() -> None:
    """On three processes of torch.distributed, too: with ranks, and the same whatever the size."""
    for (name, n), text in mistakes.checked(SIZES, only_distributed=True).items():
        assert any(words in text for words in DISTRIBUTED[name][1].split("|")), (name, n, text)
        assert "rank" in text, (name, n, text)


def test_the_table_of_the_documentation() -> None:
    """Every mistake has its row, and there are thirty or more."""
    page = (Path(__file__).parents[3] / "docs" / "verification.md").read_text()
    assert len(MISTAKES) + len(DISTRIBUTED) >= 30
    for name in (*MISTAKES, *DISTRIBUTED):
        assert f"| {name} | yes |" in page, name


def test_no_false_alarms() -> None:
    """Random right operators pass, and nothing is found in them."""
    assert mistakes.false_alarms(100) == (0, 0)


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
