"""Jobs on two hosts: the self-test, a training with checkpoints, and a host that vanishes.

The hosts are network namespaces; where the system does not allow them, these tests are skipped, with the reason.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def _hosts() -> Any:
    """Return the module beside this one."""
    spec = spec_from_file_location("two_hosts_of_tests", HERE / "hosts.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


hosts = _hosts()
pytestmark = pytest.mark.serial

TIMEOUT = "10"
"""Seconds after which a rank that is waited for is missed."""

LIMIT = 300
"""Seconds that a job may take before it counts as one that hangs, on a machine with much else to do."""

TRAINING = str(HERE / "hosts_training.py")


@pytest.fixture(autouse=True, scope="module")
def two_hosts_are_possible() -> None:
    """Skip these tests where they are not."""
    reason = hosts.fault()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(params=["mpiexec", "torchrun"])
def launcher(request: pytest.FixtureRequest) -> str:
    """Return the name of a launcher."""
    name: str = request.param
    return name


def environment(timeout: str) -> dict[str, str]:
    """Return the environment of a program on the hosts."""
    path = os.pathsep.join([str(HERE.parent), str(HERE.parent / "examples")])
    return {**os.environ, **hosts.ENVIRONMENT, "PYTHONPATH": path, "DISTDL_OPS_TIMEOUT": timeout}


@contextlib.contextmanager
def started(commands: list[list[str]], timeout: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start a job's commands; whatever is left of them ends with the block."""
    jobs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(timeout))
        for command in commands
    ]
    try:
        yield jobs
    finally:
        for job in jobs:
            job.kill()
            job.wait()
            assert job.stdout is not None
            job.stdout.close()


def finished(commands: list[list[str]], timeout: str = "120") -> str:
    """Run a job to its end; return what it has written. It must succeed."""
    with started(commands, timeout) as jobs:
        outputs = [job.communicate(timeout=LIMIT)[0] for job in jobs]
        assert [job.returncode for job in jobs] == [0] * len(jobs), outputs
    return "".join(outputs)


def losses(output: str) -> dict[int, float]:
    """Return the losses that a training has printed, by its steps."""
    lines = [line.split() for line in output.splitlines() if line.startswith("step ")]
    return {int(line[1]): float(line[-1]) for line in lines}


def test_a_job_on_two_hosts_passes_the_selftest(launcher: str, tmp_path: Path) -> None:
    """The self-test goes through, a rank on each host, with a real rendezvous."""
    with hosts.two_hosts(tmp_path) as two:
        output = finished(getattr(two, launcher)("-m", "distdl_ops", "selftest"))
    assert "all right, on 2 ranks" in output


def test_training_goes_on_where_it_was_saved(launcher: str, tmp_path: Path) -> None:
    """Four steps in two jobs, the second from the first one's checkpoint, have the losses of one process."""
    saved, whole = tmp_path / "saved", tmp_path / "whole"
    saved.mkdir()
    whole.mkdir()
    with hosts.two_hosts(tmp_path) as two:
        found = losses(finished(getattr(two, launcher)(TRAINING, str(saved), "2")))
        found |= losses(finished(getattr(two, launcher)(TRAINING, str(saved), "4")))
    expected = losses(finished([[sys.executable, TRAINING, str(whole), "4"]]))
    assert found == pytest.approx(expected, rel=1e-9)  # sums of some thousand terms in another order, four steps


def test_a_host_that_vanishes_ends_the_job(launcher: str, tmp_path: Path) -> None:
    """The host that is left gets an error within the timeout, and goes on alone from the last whole checkpoint."""
    saved, whole = tmp_path / "saved", tmp_path / "whole"
    saved.mkdir()
    whole.mkdir()
    with hosts.two_hosts(tmp_path) as two:
        with started(getattr(two, launcher)(TRAINING, str(saved), "100000"), TIMEOUT) as jobs:
            assert jobs[0].stdout is not None
            before = []
            for line in jobs[0].stdout:
                before.append(line)
                if line.startswith("step 2 "):
                    break
            assert before[-1].startswith("step 2 "), before
            two.cut()
            output = jobs[0].communicate(timeout=LIMIT)[0]
            assert jobs[0].returncode != 0
            assert "rank 1" in output
        last = max(int(path.name) for path in saved.iterdir() if (path / ".metadata").exists())
        found = losses(finished([two.on(0, sys.executable, TRAINING, str(saved), str(last + 2))]))
    assert set(found) == {last + 1, last + 2}
    expected = losses(finished([[sys.executable, TRAINING, str(whole), str(last + 2)]]))
    assert found == pytest.approx({step: expected[step] for step in found}, rel=1e-6)
