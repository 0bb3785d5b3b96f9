"""The world that this process was started in."""

from __future__ import annotations

import functools
import math
import os
import pkgutil
import sys
import time
from typing import Any

from distdl_ops.worlds.agreement import agreed
from distdl_ops.worlds.launchers import Start, started_by
from distdl_ops.worlds.threads import single_rank
from distdl_ops.worlds.world import World
from linop.arguments import checked
from linop.errors import ArgumentError, ArgumentTypeError

ENGINE = "DISTDL_OPS_WORLD"
"""Variable that names the engine: one of `ENGINES`, or ``package.module:function`` which takes the timeout and returns
a world."""

ENGINES = {
    "mpi": "distdl_ops.worlds.start:mpi_world",
    "torch": "torch_bridge.worlds:start",
    "single": "distdl_ops.worlds.start:single_world",
}
"""Engines by short names: MPI, torch.distributed, and each process alone."""

PATIENCE = "DISTDL_OPS_TIMEOUT"
"""Variable that holds for how many seconds a rank waits for another one."""

GRACE = 0.5
"""Seconds between the traceback of a failed rank and the end of the job: launchers drop output that they still hold."""

TIMEOUT = 1800.0
"""Seconds that a rank waits for another one by default."""


@checked
def world(*, timeout: float | None = None) -> World:
    """Return the world of this process: that of the launcher which has started it, or a single rank.

    Under ``mpiexec`` and the launchers of clusters that is MPI's, under ``torchrun`` torch.distributed's. The variable
    DISTDL_OPS_WORLD names another one: ``mpi``, ``torch``, ``single`` (each process alone), or another engine as
    ``package.module:function``. Collective.

    Under MPI, an exception that nobody catches on one rank ends the job of all, with its traceback. A rank may end in
    another way, by ``sys.exit`` say, when no other one needs it any more; ranks that wait for it raise a
    `DeadlockError` which says who has ended.

    Parameters
    ----------
    timeout : float, optional
        Seconds after which waiting for another rank is an error, the same on every rank; the variable
        DISTDL_OPS_TIMEOUT, or half an hour, by default.

    Returns
    -------
    World
        The same object at every call with the same settings.

    Raises
    ------
    ImportError
        Under ``mpiexec`` when mpi4py is not installed, under ``torchrun`` when torch is not.
    ValueError
        When the timeout is not a positive number of seconds, or DISTDL_OPS_WORLD names no engine.
    RuntimeError
        When several processes have been started, and none of them would know of the others.
    AgreementError
        When the ranks have different timeouts.

    Examples
    --------
    Here nobody has started other processes:

    >>> world().rank, world().size
    (0, 1)
    """
    try:
        seconds = default_timeout() if timeout is None else checked_timeout("world: timeout", timeout)
    except (TypeError, ValueError) as error:
        return agreed(_engine(TIMEOUT), "world", functools.partial(_raise, error))
    return _start(seconds)


def default_timeout() -> float:
    """Return for how many seconds a rank waits for another one, where nothing else is said."""
    given = os.environ.get(PATIENCE)
    if given is None:
        return TIMEOUT
    try:
        return checked_timeout(f"the variable {PATIENCE}", given)
    except ArgumentError as error:  # no argument of anybody's
        raise ValueError(str(error)) from None


def checked_timeout(what: str, seconds: float | str) -> float:
    """Return a timeout as a number.

    Raises
    ------
    ArgumentError
        When it is not a positive, finite number of seconds.
    ArgumentTypeError
        When it is no number.
    """
    try:
        number = float(seconds)
    except TypeError:
        raise ArgumentTypeError(f"{what}: expected a positive number of seconds, found {seconds!r}") from None
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ArgumentError(f"{what}: expected a positive number of seconds, found {seconds!r}")
    return number


def in_job() -> bool:
    """Say whether this process is one of a job's, whatever its engine."""
    return engine_name() != "single"


def engine_name() -> str:
    """Return which engine this process has, by the variable, else by its launcher; an empty text where neither says."""
    named = os.environ.get(ENGINE)
    if named:
        return named
    start = started_by()
    # A single process needs no engine; but MPI's may have been meant.
    return "single" if start is None or (start.size == 1 and start.launcher.engine != "mpi") else start.launcher.engine


@functools.cache
def _start(timeout: float) -> World:
    """Return the one world that is started with these settings, which are the same on all ranks."""
    started = _engine(timeout)
    agreed(started, "world", lambda: f"a timeout of {timeout} s", describe=str)
    return started


@functools.cache
def _engine(timeout: float) -> World:
    """Return the world of an engine."""
    name, start = engine_name(), started_by()
    if not name:
        assert start is not None
        raise RuntimeError(f"{_story(start)}: which engine is meant? {_remedy()}")
    try:
        function = pkgutil.resolve_name(ENGINES.get(name, name))
    except (ImportError, AttributeError, ValueError) as error:
        if not os.environ.get(ENGINE):
            raise ImportError(f"{_story(start)}, but {name} cannot be imported: {error}. {_remedy()}") from error
        expected = f"{', '.join(ENGINES)}, or package.module:function"
        raise ValueError(f"the variable {ENGINE}: expected {expected}; found {name!r} ({error})") from error
    started: World = function(timeout=timeout)
    alone = started.size == 1 and start is not None and start.size != 1
    if alone and name != "single" and name in (*ENGINES, *ENGINES.values()):
        raise RuntimeError(f"{_story(start)}, but {name} knows of this process only. {_remedy()}")
    return started


def _story(start: Start | None) -> str:
    """Say how this process was started."""
    assert start is not None
    return f"this process was started by {start.launcher.name} ({start.variables})"


def _remedy() -> str:
    """Say what a user can do."""
    return (
        f"Use the mpiexec, or srun --mpi=..., of the MPI library of mpi4py; or set {ENGINE}: to mpi for MPI, "
        "torch for torch.distributed, single where each process works alone"
    )


def _raise(error: Exception) -> World:
    raise error


def single_world(*, timeout: float) -> World:  # noqa: ARG001
    """Return the world of a process alone."""
    return single_rank()


def mpi_world(*, timeout: float) -> World:
    """Return the world of all processes that ``mpiexec`` has started."""
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            f"MPI was asked for, but mpi4py cannot be imported: pip install 'distdl-ops[mpi]'. {_remedy()}"
        ) from error
    from distdl_ops.worlds.mpi import start

    _end_job_on_exception(MPI.COMM_WORLD)
    return start(MPI.COMM_WORLD, timeout=timeout)


def _end_job_on_exception(communicator: Any) -> None:
    """Let an exception that nobody catches end the whole job, after its traceback, and not leave the others waiting."""
    previous, process = sys.excepthook, os.getpid()

    def hook(*exception: Any) -> None:
        previous(*exception)
        if os.getpid() != process:  # a child of this process is no rank
            return
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(GRACE)
        communicator.Abort(1)

    sys.excepthook = hook
