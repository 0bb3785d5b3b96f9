"""The world that this process was started in."""

from __future__ import annotations

import functools
import os
import pkgutil
import sys
import time
from typing import Any

from distdl_ops.worlds.threads import single_rank
from distdl_ops.worlds.world import World
from linop.arguments import checked

LAUNCHERS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Variables that the launchers of MPICH, Open MPI and their kin set for every rank."""

ENGINE = "DISTDL_OPS_WORLD"
"""Variable that names another engine, as ``package.module:function``: takes the timeout, and returns a world."""

GRACE = 0.5
"""Seconds between the traceback of a failed rank and the end of the job: launchers drop output that they still hold."""

TIMEOUT = 1800.0
"""Seconds that a rank waits for another one by default."""


@checked
def world(*, timeout: float | None = None) -> World:
    """Return the world of this process: MPI's under ``mpiexec``, a single rank otherwise.

    The variable DISTDL_OPS_WORLD may name another engine: ``torch_bridge.world:start`` is torch.distributed's, for
    programs that ``torchrun`` has started.

    Under MPI, an exception that nobody catches on one rank ends the job of all, with its traceback. A rank may end in
    another way, by ``sys.exit`` say, when no other one needs it any more; ranks that wait for it raise a
    `DeadlockError` which says who has ended.

    Parameters
    ----------
    timeout : float, optional
        Seconds after which waiting for another rank is an error; the variable DISTDL_OPS_TIMEOUT, or half an hour, by
        default.

    Returns
    -------
    World
        The same object at every call with the same settings.

    Raises
    ------
    ImportError
        Under ``mpiexec`` when mpi4py is not installed.

    Examples
    --------
    Here nobody has started other processes:

    >>> world().rank, world().size
    (0, 1)
    """
    return _start(default_timeout() if timeout is None else timeout)


def default_timeout() -> float:
    """Return for how many seconds a rank waits for another one, where nothing else is said."""
    return float(os.environ.get("DISTDL_OPS_TIMEOUT", TIMEOUT))


def under_mpi() -> bool:
    """Say whether this process was started by ``mpiexec``."""
    return any(variable in os.environ for variable in LAUNCHERS)


def in_job() -> bool:
    """Say whether this process is one of a job's, whatever its engine."""
    return ENGINE in os.environ or under_mpi()


@functools.cache
def _start(timeout: float) -> World:
    """Return the one world that is started with these settings."""
    if ENGINE in os.environ:
        started: World = pkgutil.resolve_name(os.environ[ENGINE])(timeout=timeout)
        return started
    return _mpi_world(timeout) if under_mpi() else single_rank()


def _mpi_world(timeout: float) -> World:
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            "this process was started by mpiexec, but mpi4py is not installed: pip install 'distdl-ops[mpi]'"
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
