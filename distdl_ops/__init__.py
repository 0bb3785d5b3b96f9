"""Linear operators across processes: spaces that are spread over ranks, and every data movement between them.

A layout of a tensor over a grid of ranks is a vector space, and moving data is one formula, ``M(S, T) = E_T E_S*``. It
runs on simulated ranks in one process (`simulate`) and on MPI (`world`, under ``mpiexec``), unchanged.
"""

from distdl_ops.grid import Grid
from distdl_ops.local import Local
from distdl_ops.movement.all_sum_reduce import AllSumReduce
from distdl_ops.movement.broadcast import Broadcast
from distdl_ops.movement.halo_exchange import HaloExchange
from distdl_ops.movement.movement import Movement
from distdl_ops.movement.repartition import Repartition
from distdl_ops.movement.sum_reduce import SumReduce
from distdl_ops.roles import At, Copies, Replicated, Role, Split, balanced
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds import AgreementError, DeadlockError, RankFailedError, World, simulate, world

__all__ = [
    "AgreementError",
    "AllSumReduce",
    "At",
    "Broadcast",
    "Copies",
    "DeadlockError",
    "DistributedSpace",
    "Grid",
    "HaloExchange",
    "Local",
    "Movement",
    "RankFailedError",
    "Repartition",
    "Replicated",
    "Role",
    "Split",
    "SumReduce",
    "World",
    "balanced",
    "simulate",
    "world",
]
