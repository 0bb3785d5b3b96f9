"""A GPT across ranks is the sequential one: the same losses, on both engines; and its errors are one line."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpt
import pytest
import torch

pytestmark = pytest.mark.serial

OnTwoRanks = Callable[..., subprocess.CompletedProcess[str]]
TINY = ["--steps", "3", "--length", "12", "--width", "8", "--heads", "2", "--layers", "1", "--batch-size", "5"]


@pytest.mark.parametrize("grid", ["data=2, sequence=1, model=2", "data=1, sequence=2, model=2"])
def test_training(grid: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """With data, sequences and heads along any axes of the grid, losses agree to 1e-10, and all adjoints pass."""
    picture = tmp_path / "losses.png"
    axes = [f"--{word}" if word.isalpha() else word for word in re.findall(r"\w+", grid)]
    assert gpt.main([*TINY, "--ranks", "4", *axes, "--picture", str(picture)]) == 0
    found = capsys.readouterr()
    assert f"on Grid({grid}), 4 ranks, float64" in found.out
    table = [line for line in found.out.splitlines() if re.search(r" (passed|FAILED) \(", line)]
    assert len(table) >= 10
    assert all("passed (" in line and " -> " in line for line in table)
    assert re.search(r"text that it has not seen: \d", found.out)
    assert "all checks passed" in found.out
    assert "100%" in found.err  # the progress bar
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_training_on_mpi(on_two_ranks: OnTwoRanks) -> None:
    """The same under mpiexec."""
    job = on_two_ranks("gpt.py", *TINY)
    assert "all checks passed" in job.stdout


def test_a_wrong_network_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """When the two networks differ, the status says so: here the distributed one is more certain than it should be."""
    honest = gpt.distribute

    def certain(*arguments: Any) -> Any:
        model = honest(*arguments)
        model.head.register_forward_hook(lambda _module, _inputs, scores: 2 * scores)
        return model

    monkeypatch.setattr(gpt, "distribute", certain)
    assert gpt.main([*TINY, "--picture", str(tmp_path / "losses.png")]) == 1
    assert "FAILED: the losses differ" in capsys.readouterr().out


def test_targets_are_one_character_later() -> None:
    """The network learns to continue the text."""
    options = gpt.Options(seed=0, length=5, batch_size=3)
    pieces = gpt.batches(torch.arange(50), options, 2)
    assert len(pieces) == 2
    for inputs, targets in pieces:
        assert inputs.shape == targets.shape == (3, 5)
        assert torch.equal(targets, inputs + 1)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--heads", "3"], "--width 8: expected a multiple of --heads 3"),
        (["--data", "3"], "Grid(data=3, sequence=1, model=2) needs 6 ranks, the world has 4"),
        (["--steps", "0"], "--steps"),
    ],
)
def test_errors_are_one_line(options: list[str], complaint: str, capsys: pytest.CaptureFixture) -> None:
    """One line for all ranks, and a status that is not zero."""
    assert gpt.main([*TINY, *options]) == 2
    found = capsys.readouterr()
    (line,) = found.err.splitlines()
    assert line.startswith("gpt: error: ")
    assert complaint in line
    assert found.out == ""
