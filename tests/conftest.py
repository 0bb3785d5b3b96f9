"""One set of tests for three engines.

Plain pytest simulates ranks. ``mpiexec -n 3 python -m pytest`` runs on MPI's; when DISTDL_OPS_WORLD is
torch_bridge.world:start, ``torchrun --nproc-per-node 3 -m pytest`` runs on torch.distributed's.

In such a job every rank must draw the same examples: they follow from the test alone, nothing is shrunk, nothing
depends on the clock. Only rank 0 reports.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from distdl_ops.worlds.start import in_job

os.environ.setdefault("DISTDL_OPS_TIMEOUT", "60")

COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("simulated", max_examples=50, **COMMON)
settings.register_profile("ci", max_examples=20, derandomize=True, database=None, **COMMON)
ALIKE = {"derandomize": True, "database": None, "phases": [Phase.generate], "report_multiple_bugs": False, **COMMON}
settings.register_profile("job", max_examples=10, **ALIKE)
settings.register_profile("few", max_examples=6, **ALIKE)  # of a second MPI library, and of gloo
settings.load_profile("job" if in_job() else "ci" if os.environ.get("CI") else "simulated")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let only rank 0 report; what the others write to stderr still shows."""
    config.addinivalue_line("markers", "serial: not run in a job: it has no ranks, or starts its own")
    if in_job():
        from distdl_ops import world

        if world().rank != 0:
            reporter = config.pluginmanager.get_plugin("terminalreporter")
            reporter._tw._file = Path(os.devnull).open("w")  # noqa: SIM115  (open until the process ends)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is not meant for a job."""
    if in_job():
        items[:] = [item for item in items if item.get_closest_marker("serial") is None]


@pytest.fixture(params=[1, 2, 3, 4])
def ranks(request: pytest.FixtureRequest) -> int:
    """How many ranks to run on: 1 to 4 when simulated, the job's in a job."""
    size: int = request.param
    if in_job():
        from distdl_ops import world

        if size != world().size:
            pytest.skip(f"this job has {world().size} ranks")
    return size
