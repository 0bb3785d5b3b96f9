"""torchvision's residual networks over data and space are the sequential ones."""

import sys
from pathlib import Path

import pytest
import resnet50

pytestmark = pytest.mark.serial


def test_data_and_space(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Two steps of ResNet-18 on four ranks: adjoints pass, losses, weights and statistics agree."""
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    options = ["--network", "resnet18", "--steps", "2", "--batch-size", "3", "--extent", "32"]
    assert resnet50.main([*options, "--ranks", "4", "--picture", str(tmp_path / "resnet50.png")]) == 0
    said = capsys.readouterr().out
    assert "Grid(data=2, rows=2)" in said
    assert "all checks passed" in said


def test_without_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """Where torchvision is missing, one line says so, and the exit status is 2."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert resnet50.main(["--ranks", "2", "--picture", str(tmp_path / "resnet50.png")]) == 2
    assert capsys.readouterr().err == "resnet50: error: torchvision is not installed: pip install torchvision\n"
