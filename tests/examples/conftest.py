"""Examples run as users run them: under mpiexec."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def on_two_ranks(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs an example with options on two MPI ranks, and requires that it ends well."""

    def run(example: str, *options: str) -> subprocess.CompletedProcess[str]:
        mpiexec = str(Path(sysconfig.get_path("scripts")) / "mpiexec")
        picture = str(tmp_path / "picture.png")
        job = subprocess.run(
            [mpiexec, "-n", "2", sys.executable, str(EXAMPLES / example), *options, "--picture", picture],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "OMP_NUM_THREADS": "1", "DISTDL_OPS_TIMEOUT": "60"},
            check=False,
        )
        assert job.returncode == 0, job.stdout + job.stderr
        return job

    return run
