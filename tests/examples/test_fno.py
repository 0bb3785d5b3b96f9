"""A Fourier neural operator across ranks is the sequential one; the equation that it learns is solved right."""

import re
from pathlib import Path
from typing import Any

import fno
import pytest
import torch

pytestmark = pytest.mark.serial

TINY = ["--steps", "3", "--points", "9", "--samples", "4", "--width", "3", "--modes", "2", "--layers", "2"]


@pytest.mark.parametrize(("ranks", "grid"), [("4", "rows=2, cols=2"), ("3", "rows=1, cols=3")])
def test_training(ranks: str, grid: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """On any grid, also where fields fall into uneven parts, losses agree to 1e-10, and all adjoints pass."""
    picture = tmp_path / "losses.png"
    axes = [f"--{word}" if word.isalpha() else word for word in re.findall(r"\w+", grid)]
    assert fno.main([*TINY, "--ranks", ranks, *axes, "--picture", str(picture)]) == 0
    found = capsys.readouterr()
    assert f"on Grid({grid}), {ranks} ranks, float64" in found.out
    table = [line for line in found.out.splitlines() if re.search(r" (passed|FAILED) \(", line)]
    assert any("rfftn" in line for line in table)
    assert all("passed (" in line and " -> " in line for line in table)
    assert re.search(r"error on 2 other fields: \d", found.out)
    assert "all checks passed" in found.out
    assert "100%" in found.err  # the progress bar
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_wrong_network_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """When the two networks differ, the status says so: here the distributed one counts a layer's frequencies twice."""
    honest = fno.distribute

    def twice(*arguments: Any) -> Any:
        model = honest(*arguments)
        model.spectral[0].register_forward_hook(lambda _module, _inputs, y: 2 * y)
        return model

    monkeypatch.setattr(fno, "distribute", twice)
    assert fno.main([*TINY, "--picture", str(tmp_path / "losses.png")]) == 1
    assert "FAILED: the losses differ" in capsys.readouterr().out


@pytest.mark.parametrize("transposed", [False, True])
def test_the_equation_is_solved(transposed: bool) -> None:
    """The solution is that of Cole and Hopf, u = -2 nu p_x / p; p = 2 + exp(-nu t) cos x solves the heat equation.

    Frequencies beyond the 21st, of 64, are below (2 - 3^(1/2))^22 = 3e-13; of 100 steps of length h = 1/200, each of an
    error of order h^5, 100 h^5 = 3e-10 is left.
    """
    nu = 0.5
    x = torch.arange(64, dtype=torch.float64) * (2 * torch.pi / 64)

    def exact(time: float) -> torch.Tensor:
        decay = torch.exp(torch.tensor(-nu * time, dtype=torch.float64))
        u = (2 * nu * decay * x.sin() / (2 + decay * x.cos())).expand(1, 64, 64)
        return u.mT if transposed else u

    found = fno.burgers(exact(0.0), 0.5, nu)
    torch.testing.assert_close(found, exact(0.5), rtol=0, atol=1e-9)
    assert (found - exact(0.0)).abs().max() > 0.1


def test_every_sample_is_seen() -> None:
    """Samples come in a random order, each as often as the others."""
    options = fno.Options(seed=0, steps=6, batch_size=2)
    fields = torch.arange(4.0)
    steps = fno.batches((fields, -fields), options)
    assert len(steps) == 6
    assert sorted(torch.cat([inputs for inputs, _ in steps]).tolist()) == sorted(fields.tolist() * 3)
    assert all(torch.equal(inputs, -targets) for inputs, targets in steps)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--modes", "5"], "--modes 5: expected at most half of --points 9"),
        (["--rows", "3"], "Grid(rows=3, cols=2) needs 6 ranks, the world has 4"),
        (["--points", "x"], "--points"),
    ],
)
def test_errors_are_one_line(options: list[str], complaint: str, capsys: pytest.CaptureFixture) -> None:
    """One line for all ranks, and a status that is not zero."""
    assert fno.main([*TINY, *options]) == 2
    found = capsys.readouterr()
    (line,) = found.err.splitlines()
    assert line.startswith("fno: error: ")
    assert complaint in line
    assert found.out == ""
