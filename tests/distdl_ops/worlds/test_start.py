"""A program finds the processes that it was started with, or says what to set; never is each of them rank 0 of 1."""

import math
from collections.abc import Iterator

import pytest

from distdl_ops import world
from distdl_ops.worlds import start
from distdl_ops.worlds.launchers import LAUNCHERS, started_by
from distdl_ops.worlds.world import World
from linop import ArgumentError, ArgumentTypeError

pytestmark = pytest.mark.serial

VARIABLES = {name for launcher in LAUNCHERS for name in (*launcher.ranks, *launcher.sizes, *launcher.needed)}

STARTS: dict[str, dict[str, str]] = {
    "Open MPI": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "PMIX_RANK": "1"},
    "MPICH": {"PMI_RANK": "1", "PMI_SIZE": "2"},
    "MVAPICH": {"MV2_COMM_WORLD_RANK": "0", "MV2_COMM_WORLD_SIZE": "2"},
    "PMIx": {"PMIX_RANK": "0"},
    "PALS": {"PALS_RANKID": "0"},
    "jsrun": {"JSM_NAMESPACE_RANK": "0", "JSM_NAMESPACE_SIZE": "2"},
    "Flux": {"FLUX_TASK_RANK": "0", "FLUX_JOB_SIZE": "2"},
    "aprun": {"ALPS_APP_PE": "0"},
    "srun": {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "1"},
    "Slurm without a step": {"SLURM_PROCID": "0", "SLURM_NTASKS": "2"},
}
"""What launchers of MPI programs set, of two processes."""

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin each test as in a process that nobody has started with others."""
    for name in (*VARIABLES, start.ENGINE, start.PATIENCE):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield
    forget()


def forget() -> None:
    start._start.cache_clear()
    start._engine.cache_clear()


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("launcher", STARTS)
def test_an_engine_that_knows_of_one_process_is_refused(monkeypatch: pytest.MonkeyPatch, launcher: str) -> None:
    """Where a launcher has started several, and MPI sees one, the error names the launcher and what to set."""
    set_all(monkeypatch, STARTS[launcher])
    monkeypatch.setitem(start.ENGINES, "mpi", start.ENGINES["single"])
    for named in (False, True):
        if named:
            monkeypatch.setenv("DISTDL_OPS_WORLD", "mpi")
        with pytest.raises(RuntimeError, match=rf"{next(iter(STARTS[launcher]))}=.*set DISTDL_OPS_WORLD: to mpi"):
            world()
        assert start.in_job()
    monkeypatch.setenv("DISTDL_OPS_WORLD", "single")
    assert world().size == 1
    assert not start.in_job()


@pytest.mark.parametrize("outer", [{}, *STARTS.values()])
def test_torchrun_is_found_inside_of_other_launchers(monkeypatch: pytest.MonkeyPatch, outer: dict[str, str]) -> None:
    """What srun or mpiexec starts may be torchrun: its processes are those of torch.distributed."""
    set_all(monkeypatch, {**outer, **TORCHRUN})
    found = started_by()
    assert found is not None
    assert (found.launcher.name, found.launcher.engine, found.size) == ("torchrun", "torch", 2)


def test_mpiexec_is_found_inside_of_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of Slurm sets its variables for what mpiexec starts, too."""
    set_all(monkeypatch, {**STARTS["srun"], **STARTS["Open MPI"]})
    found = started_by()
    assert found is not None
    assert found.launcher.name == "mpiexec of Open MPI"


def test_variables_that_anybody_may_have_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """RANK and WORLD_SIZE alone say that there are several processes, and not of which engine."""
    set_all(monkeypatch, {"RANK": "0", "WORLD_SIZE": "2"})
    with pytest.raises(RuntimeError, match=r"which engine is meant.*DISTDL_OPS_WORLD"):
        world()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"RANK": "0"},
        {"WORLD_SIZE": "4"},
        {**TORCHRUN, "WORLD_SIZE": "1"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
    ],
)
def test_a_process_alone(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Without a launcher, or as the only process of one, a program runs on a single rank."""
    set_all(monkeypatch, variables)
    monkeypatch.setitem(start.ENGINES, "mpi", start.ENGINES["single"])
    assert (world().rank, world().size) == (0, 1)


@pytest.mark.parametrize("name", ["nothing", "distdl_ops:nothing", "no.module:start", "::"])
def test_an_engine_that_does_not_exist(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The error names the variable, and what it may hold."""
    monkeypatch.setenv("DISTDL_OPS_WORLD", name)
    with pytest.raises(ValueError, match="the variable DISTDL_OPS_WORLD: expected mpi, torch, single, or"):
        world()


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a launcher's own engine is missing, the error says who has started the process, and what to set."""
    set_all(monkeypatch, TORCHRUN)
    monkeypatch.setitem(start.ENGINES, "torch", "no.module:start")
    with pytest.raises(ImportError, match=r"started by torchrun \(RANK=0, WORLD_SIZE=2\).*DISTDL_OPS_WORLD"):
        world()


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "-3", "soon", "", "1 s"])
def test_a_timeout_that_is_no_time(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The error names the variable, or the argument, and what was found."""
    monkeypatch.setenv("DISTDL_OPS_TIMEOUT", value)
    with pytest.raises(ValueError, match="DISTDL_OPS_TIMEOUT: expected a positive number of seconds"):
        world()
    for other in (value, [3]):
        with pytest.raises(ArgumentTypeError, match="expected timeout to be a number"):
            world(timeout=other)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, 0, -3.0])
def test_numbers_that_are_no_time(seconds: float) -> None:
    """The error names the argument."""
    with pytest.raises(ArgumentError, match="timeout"):
        world(timeout=seconds)


def test_a_timeout_is_a_number_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not, in any notation of Python's."""
    for value in ("5", "0.5", "1e3"):
        monkeypatch.setenv("DISTDL_OPS_TIMEOUT", value)
        assert start.default_timeout() == float(value)
        found: World = world()
        assert found.size == 1
