"""Sharded training is the sequential one, and takes a rank less memory the more ranks there are."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sharded

pytestmark = pytest.mark.serial

OnTwoRanks = Callable[..., subprocess.CompletedProcess[str]]
TINY = ["--steps", "4", "--width", "64", "--depth", "3", "--batch-size", "10"]


def table(told: str) -> dict[str, tuple[float, float]]:
    """Return what is stored and the peak, by how many ranks there were."""
    rows = re.findall(r"^ *(sequential|\d+) +([\d.]+) +([\d.]+)$", told, re.MULTILINE)
    return {name: (float(stored), float(peak)) for name, stored, peak in rows}


def test_simulated_ranks(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """On 1, 2 and 4 of 5 ranks losses agree, and a rank stores its share; its peak falls."""
    picture = tmp_path / "sharded.png"
    assert sharded.main([*TINY, "--ranks", "5", "--picture", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "all checks passed" in told
    found = table(told)
    assert list(found) == ["sequential", "1", "2", "4"]
    assert found["sequential"][0] == found["1"][0]
    assert found["4"][0] < 0.3 * found["1"][0]
    assert found["4"][1] < found["2"][1] < found["1"][1]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_mpi(on_two_ranks: OnTwoRanks) -> None:
    """Under mpiexec, rank 0 tells the same."""
    job = on_two_ranks("sharded.py", *TINY)
    assert list(table(job.stdout)) == ["sequential", "1", "2"]


def test_a_part_of_the_samples_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Where only the first half of the samples is used, the losses tell."""
    honest = sharded.distribute_tensor

    def first_half(x: Any, *arguments: Any, **roles: Any) -> Any:
        return honest(x[: len(x) // 2], *arguments, **roles)

    monkeypatch.setattr(sharded, "distribute_tensor", first_half)
    assert sharded.main([*TINY, "--ranks", "2", "--picture", str(tmp_path / "sharded.png")]) == 1
    assert "FAILED: the losses differ" in capsys.readouterr().out
