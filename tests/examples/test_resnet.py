"""The residual network across ranks is the sequential one, on both engines."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import resnet
import torch

pytestmark = pytest.mark.serial

OnTwoRanks = Callable[..., subprocess.CompletedProcess[str]]
TINY = ["--steps", "3", "--width", "2", "--batch-size", "4"]


def test_simulated_ranks(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Three steps on three ranks: adjoints pass, losses agree to 1e-10, weights and statistics too."""
    picture = tmp_path / "resnet.png"
    assert resnet.main([*TINY, "--ranks", "3", "--picture", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "all checks passed" in told
    assert "distributed  test accuracy" in told
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_mpi(on_two_ranks: OnTwoRanks) -> None:
    """Under mpiexec, rank 0 tells the same."""
    job = on_two_ranks("resnet.py", *TINY)
    assert job.stdout.count("all checks passed") == 1


def test_statistics_of_a_part_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Where a rank normalises by the statistics of its own part of the images, the losses tell."""
    honest = resnet.distribute

    def apart(module: torch.nn.Module, *arguments: object) -> object:
        model = honest(module, *arguments)
        norm = model.get_submodule("1.norm1")
        norm.register_forward_hook(lambda module, x, _: (x[0] - x[0].mean()) * module.weight.sum())
        return model

    monkeypatch.setattr(resnet, "distribute", apart)
    assert resnet.main([*TINY, "--ranks", "2", "--picture", str(tmp_path / "resnet.png")]) == 1
    assert "FAILED: the losses differ" in capsys.readouterr().out
