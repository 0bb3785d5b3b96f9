"""LeNet-5 across ranks is LeNet-5: the same losses and predictions, on both engines; and its errors are one line."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import lenet5
import pytest

pytestmark = pytest.mark.serial

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "examples" / "lenet5.py")
ENGINES = {
    "simulated": [sys.executable, EXAMPLE, "--ranks", "4"],
    "mpi": [str(Path(sysconfig.get_path("scripts")) / "mpiexec"), "-n", "4", sys.executable, EXAMPLE],
}


def run(engine: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the example as a user does, within a time limit."""
    return subprocess.run(
        [*ENGINES[engine], *options],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "DISTDL_OPS_TIMEOUT": "120"},
        check=False,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_training(engine: str, tmp_path: Path) -> None:
    """Three epochs: all adjoints pass, losses agree to 1e-10 in the first 20 steps, and all predictions agree."""
    picture = tmp_path / "losses.png"
    job = run(engine, "--epochs", "3", "--picture", str(picture))
    assert job.returncode == 0, job.stdout + job.stderr
    assert "61706 parameters" in job.stdout
    table = [line for line in job.stdout.splitlines() if re.search(r" (passed|FAILED) \(", line)]
    assert len(table) == 16
    assert all("passed (" in line and " -> " in line for line in table)
    assert len(re.findall(r"epoch +\d+ +loss \d", job.stdout)) == 6
    found = re.search(r"losses differ by (\S+) in the first 20 steps", job.stdout)
    assert found is not None
    assert float(found[1]) <= 1e-10
    assert "predictions agree on 360 of 360 test images" in job.stdout
    assert "all checks passed" in job.stdout
    assert "100%" in job.stderr  # the progress bar
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_idle_ranks_and_float32(tmp_path: Path) -> None:
    """Ranks beyond the grid hold nothing, and hang nobody; float32 is as close as its precision allows."""
    options = ["--ranks", "5", "--epochs", "1", "--dtype", "float32", "--picture", str(tmp_path / "losses.png")]
    assert lenet5.main(options) == 0


def test_a_wrong_network_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """When the two networks differ, the status says so: here the distributed one forgets its last bias."""
    honest = lenet5.distributed

    def forgetful(*arguments: Any) -> Any:
        model = honest(*arguments)
        model.get_submodule("linear3").register_forward_hook(lambda module, _, y: y - module.bias)
        return model

    monkeypatch.setattr(lenet5, "distributed", forgetful)
    assert lenet5.main(["--epochs", "1", "--picture", str(tmp_path / "losses.png")]) == 1
    assert "FAILED: the losses differ" in capsys.readouterr().out


def test_losses_that_are_not_numbers_fail(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """A learning rate that is far too large ends in NaN for both networks, and in a status that is not zero."""
    options = ["--epochs", "1", "--batch-size", "512", "--lr", "1e300", "--picture", str(tmp_path / "losses.png")]
    assert lenet5.main(options) == 1
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--data", "nowhere"], "--data nowhere: there is no such folder"),
        (["--data", str(ROOT / "tests")], "expected a file train-images-idx3-ubyte"),
        (["--epochs", "0"], "--epochs"),
        (["--dtype", "int8"], "--dtype"),
        (["--picture", "/nowhere/losses.png"], "--picture"),
        (["--picture", "losses.xyz"], "--picture"),
        (["--lr", "nan"], "--lr"),
        (["--seed", "99999999999999999999999"], "--seed"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_errors_are_one_line(engine: str, options: list[str], complaint: str) -> None:
    """One line for all ranks, and a status that is not zero."""
    job = run(engine, *options)
    assert job.returncode != 0
    (line,) = job.stderr.splitlines()
    assert line.startswith("lenet5: error: ")
    assert complaint in line
    assert job.stdout == ""


@pytest.mark.parametrize("ranks", ["3", "1"])
@pytest.mark.parametrize("engine", ENGINES)
def test_rank_counts_that_the_grid_cannot_take(engine: str, ranks: str) -> None:
    """Four are needed."""
    command = [ranks if word == "4" else word for word in ENGINES[engine]]
    job = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert job.returncode != 0
    assert job.stderr.splitlines() == [f"lenet5: error: Grid(rows=2, cols=2) needs 4 ranks, the world has {ranks}"]


def test_more_ranks_than_are_simulated(capsys: pytest.CaptureFixture) -> None:
    """A hundred million threads are not begun."""
    assert lenet5.main(["--ranks", "100000000"]) == 2
    assert capsys.readouterr().err.startswith("lenet5: error: --ranks 100000000")


def test_ranks_that_mpiexec_did_not_start() -> None:
    """Under mpiexec, --ranks can only repeat what it was told."""
    job = run("mpi", "--ranks", "5")
    assert job.returncode != 0
    assert job.stderr.splitlines() == ["lenet5: error: --ranks 5: mpiexec started 4"]
