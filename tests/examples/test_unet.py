"""The U-Net across ranks is the sequential one, on both engines; and its errors are one line."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import unet

pytestmark = pytest.mark.serial

OnTwoRanks = Callable[..., subprocess.CompletedProcess[str]]
TINY = ["--steps", "3", "--size", "24", "--width", "4", "--batch-size", "2"]


def test_simulated_ranks(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Three steps on three ranks: adjoints pass, losses agree to 1e-10, and so do the images."""
    picture = tmp_path / "unet.png"
    assert unet.main([*TINY, "--ranks", "3", "--picture", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "all checks passed" in told
    assert "HaloExchange" in told
    assert "dB on the other photograph" in told
    ((rank, alone),) = re.findall(r"([\d.]+) MB on a rank, ([\d.]+) MB sequential", told)
    assert float(rank) < float(alone)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_mpi(on_two_ranks: OnTwoRanks) -> None:
    """Under mpiexec, rank 0 tells the same."""
    job = on_two_ranks("unet.py", *TINY)
    assert job.stdout.count("all checks passed") == 1
    assert "100%" in job.stderr  # the progress bar


def test_a_wrong_network_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """When the two networks differ, the status says so: here the distributed one doubles the noise."""
    honest = unet.distribute

    def doubled(module: torch.nn.Module, *arguments: object) -> object:
        model = honest(module, *arguments)
        model.noise.register_forward_hook(lambda *found: 2 * found[-1])
        return model

    monkeypatch.setattr(unet, "distribute", doubled)
    assert unet.main([*TINY, "--ranks", "2", "--picture", str(tmp_path / "unet.png")]) == 1
    assert "FAILED: the losses differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--size", "10"], "--size 10: expected a multiple of 4, up to 427"),
        (["--size", "428"], "--size 428: expected a multiple of 4, up to 427"),
        (["--width", "6"], "--width 6: expected a multiple of 4"),
        (["--noise", "-1"], "--noise"),
    ],
)
def test_errors_are_one_line(options: list[str], complaint: str, capsys: pytest.CaptureFixture) -> None:
    """One line for all ranks, and a status that is not zero."""
    assert unet.main(["--ranks", "2", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("unet: error: ")
    assert complaint in line
