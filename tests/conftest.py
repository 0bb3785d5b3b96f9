"""One set of tests for three engines.

Plain pytest simulates ranks. ``mpiexec -n 3 python -m pytest`` runs on MPI's; when DISTDL_OPS_WORLD is
torch_bridge.worlds:start, ``torchrun --nproc-per-node 3 -m pytest`` runs on torch.distributed's.

Examples follow from the test alone, not from chance, the clock or the tests before: they are the same everywhere, on
every rank of a job, too. ``make fuzz`` draws others. Only rank 0 of a job reports.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers

from distdl_ops.worlds.start import in_job

os.environ.setdefault("DISTDL_OPS_TIMEOUT", "60")

COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
FIXED = {"derandomize": True, **COMMON}
settings.register_profile("fixed", max_examples=20, **FIXED)  # the same examples in every run, on any machine
# In a job no rank shrinks; and an explicit example has its own number of ranks.
JOB = {"phases": [Phase.generate], "report_multiple_bugs": False}
settings.register_profile("few", max_examples=6, **FIXED, **JOB)
settings.register_profile("fuzz", max_examples=100, print_blob=True, **COMMON)  # fresh ones: tests/fuzz.py
settings.register_profile("fuzz-job", max_examples=50, **COMMON, **JOB)
settings.load_profile("few" if in_job() else "fixed")

# By default, hypothesis draws numbers that stand in the modules which are loaded: examples would depend on which tests
# are run, and differ between ranks that have loaded other modules.
providers._get_local_constants = lambda: providers._local_constants


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
