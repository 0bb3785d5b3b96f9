"""Worlds: the processes that work together, behind one small protocol.

Simulated ranks in one process (`simulate`) and MPI stand behind it, and with `torch_bridge.worlds` torch.distributed.
Operators are written against `World` and run unchanged on all.
"""

from distdl_ops.worlds.agreement import AgreementError
from distdl_ops.worlds.start import world
from distdl_ops.worlds.threads import RankFailedError, simulate
from distdl_ops.worlds.world import DeadlockError, Exchange, Traffic, World

__all__ = [
    "AgreementError",
    "DeadlockError",
    "Exchange",
    "RankFailedError",
    "Traffic",
    "World",
    "simulate",
    "world",
]
