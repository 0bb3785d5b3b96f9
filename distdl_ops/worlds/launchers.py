"""How a program was started: by which launcher, and as one of how many processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple, final


@final
class Launcher(NamedTuple):
    """A program that starts processes, and what it sets for each.

    Attributes
    ----------
    name : str
        What users call it.
    engine : str
        Which engine its processes are for, as a rule.
    ranks : tuple of str
        Variables, each of which holds the number of the process.
    sizes : tuple of str
        Variables that may hold how many there are: the first one counts.
    needed : tuple of str
        Variables without which it is another launcher.
    """

    name: str
    engine: str
    ranks: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


TORCH = ("WORLD_SIZE",)
SLURM = ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS")

LAUNCHERS = (
    # The nearest one first: srun or mpiexec may start torchrun, whose processes inherit their variables; and mpiexec
    # may run in a job of Slurm.
    Launcher("torchrun", "torch", ("RANK",), TORCH, needed=("TORCHELASTIC_RUN_ID", *TORCH)),
    Launcher("mpiexec of Open MPI", "mpi", ("OMPI_COMM_WORLD_RANK",), ("OMPI_COMM_WORLD_SIZE",)),
    Launcher("mpirun of MVAPICH", "mpi", ("MV2_COMM_WORLD_RANK",), ("MV2_COMM_WORLD_SIZE",)),
    Launcher("mpiexec", "mpi", ("PMI_RANK", "PMI_ID"), ("PMI_SIZE",)),
    Launcher("jsrun", "mpi", ("JSM_NAMESPACE_RANK",), ("JSM_NAMESPACE_SIZE",)),
    Launcher("mpiexec of PALS", "mpi", ("PALS_RANKID",), ("PALS_SIZE",)),
    Launcher("aprun", "mpi", ("ALPS_APP_PE",)),
    Launcher("a launcher of PMIx", "mpi", ("PMIX_RANK",), ("PMIX_SIZE",)),
    Launcher("a launcher of torch.distributed", "torch", ("RANK",), TORCH, needed=("MASTER_ADDR", *TORCH)),
    Launcher("flux run", "mpi", ("FLUX_TASK_RANK",), ("FLUX_JOB_SIZE",)),
    Launcher("srun", "mpi", ("SLURM_PROCID",), SLURM),
    Launcher("a launcher that sets RANK and WORLD_SIZE", "", ("RANK",), TORCH, needed=TORCH),
)
"""In the order in which they are asked."""


@final
class Start(NamedTuple):
    """How this process was started.

    Attributes
    ----------
    launcher : Launcher
        By whom.
    size : int or None
        As one of how many processes; None where the launcher does not say.
    variables : str
        What shows it, in words.
    """

    launcher: Launcher
    size: int | None

    variables: str


def started_by(environment: Mapping[str, str] | None = None) -> Start | None:
    """Return how a process was started, by its environment; None where nobody has started others beside it.

    Examples
    --------
    >>> started_by({"PMI_RANK": "0", "PMI_SIZE": "4"}).variables
    'PMI_RANK=0, PMI_SIZE=4'
    >>> started_by({"SLURM_PROCID": "3", "SLURM_NTASKS": "4"}).launcher.name
    'srun'
    """
    variables = os.environ if environment is None else environment
    for launcher in LAUNCHERS:
        rank = next((name for name in launcher.ranks if variables.get(name)), None)
        if rank is None or not all(variables.get(name) for name in launcher.needed):
            continue
        size = next((name for name in launcher.sizes if variables.get(name, "").isdigit()), None)
        settings = ", ".join(f"{name}={variables[name]}" for name in (rank, size) if name)
        return Start(launcher, int(variables[size]) if size else None, settings)
    return None
