"""The three jobs of inverse problems run on ranks, and find the same on any number of them, to twelve digits."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import deblurring
import deconvolution
import numpy as np
import pytest
import rays

from distdl_ops import simulate

pytestmark = pytest.mark.serial


@pytest.mark.parametrize(
    ("example", "options", "most"),
    [
        (deblurring, {"n": 24, "steps": 60}, 0.8),
        (rays, {"n": 16, "count": 200}, 0.4),
        (deconvolution, {"traces": 16, "times": 48}, 0.4),
    ],
    ids=["deblurring", "rays", "deconvolution"],
)
def test_the_same_on_any_number_of_ranks(example: Any, options: dict[str, int], most: float) -> None:
    """On 1, 2 and 4 simulated ranks, the answer is the same to twelve digits, and near the truth."""
    image, error = simulate(1, lambda w: example.main(w, **options))[0]
    assert error < most
    for ranks in (2, 4):
        for found, other in simulate(ranks, lambda world: example.main(world, **options)):
            np.testing.assert_allclose(found, image, rtol=0, atol=1e-12 * np.abs(image).max())
            assert other == pytest.approx(error, rel=1e-10)


@pytest.mark.parametrize("name", ["deblurring", "rays", "deconvolution"])
def test_they_are_short(name: str) -> None:
    """Each is shorter than sixty lines of code."""
    text = (Path(__file__).parents[2] / "examples" / f"{name}.py").read_text()
    assert len([line for line in text.split("\n") if line.strip()]) < 60


@pytest.mark.parametrize("name", ["deblurring", "rays", "deconvolution"])
def test_on_mpi(on_two_ranks: Any, tmp_path: Path, name: str) -> None:
    """Each runs under mpiexec, tells how well it went, and draws its picture."""
    job = on_two_ranks(f"{name}.py")
    assert "error" in job.stdout
    assert (tmp_path / "picture.png").stat().st_size > 1000


MPI = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
import distdl_ops, deblurring, rays, deconvolution
world = distdl_ops.world()
found = {
    "deblurring": deblurring.main(world, n=24, steps=60)[0],
    "rays": rays.main(world, n=16, count=200)[0],
    "deconvolution": deconvolution.main(world, traces=16, times=48)[0],
}
if world.rank == 0:
    np.savez(sys.argv[2], **found)
"""


def test_mpi_finds_the_same(tmp_path: Path) -> None:
    """On 1, 2 and 4 processes of MPI, the answers are the same to twelve digits."""
    examples = Path(__file__).parents[2] / "examples"
    (tmp_path / "jobs.py").write_text(MPI)
    mpiexec = str(Path(sysconfig.get_path("scripts")) / "mpiexec")
    answers = []
    for ranks in (1, 2, 4):
        path = tmp_path / f"on_{ranks}.npz"
        command = [mpiexec, "-n", str(ranks), sys.executable, str(tmp_path / "jobs.py"), str(examples), str(path)]
        root = os.pathsep.join([str(examples.parent), os.environ.get("PYTHONPATH", "")])
        subprocess.run(command, check=True, capture_output=True, timeout=300, env={**os.environ, "PYTHONPATH": root})
        answers.append(dict(np.load(path)))
    for name, image in answers[0].items():
        for other in answers[1:]:
            np.testing.assert_allclose(other[name], image, rtol=0, atol=1e-12 * np.abs(image).max())
