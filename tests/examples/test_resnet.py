"""The residual network across ranks is the sequential one, on both engines."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import resnet
import torch

pytestmark = pytest.mark.serial

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "resnet.py")
TWO_RANKS = [str(Path(sysconfig.get_path("scripts")) / "mpiexec"), "-n", "2", sys.executable, EXAMPLE]
TINY = ["--steps", "3", "--width", "2", "--batch-size", "4"]


def test_simulated_ranks(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Three steps on three ranks: adjoints pass, losses agree to 1e-10, predictions and statistics too."""
    picture = tmp_path / "resnet.png"
    assert resnet.main([*TINY, "--ranks", "3", "--picture", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "all checks passed" in told
    assert "predictions agree on 360 of 360" in told
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_mpi(tmp_path: Path) -> None:
    """Under mpiexec, rank 0 tells the same."""
    job = subprocess.run(
        [*TWO_RANKS, *TINY, "--picture", str(tmp_path / "resnet.png")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "DISTDL_OPS_TIMEOUT": "60"},
        check=False,
    )
    assert job.returncode == 0, job.stdout + job.stderr
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
