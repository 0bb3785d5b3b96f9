"""Data movements: ``M(S, T) = E_T E_S*`` for any two spaces, the ones that have a name, and the ring shift."""

from distdl_ops.movement.all_gather import AllGather
from distdl_ops.movement.all_reduce import AllReduce
from distdl_ops.movement.all_sum_reduce import AllSumReduce
from distdl_ops.movement.all_to_all import AllToAll
from distdl_ops.movement.broadcast import Broadcast
from distdl_ops.movement.copy import Copy
from distdl_ops.movement.gather import Gather
from distdl_ops.movement.halo_exchange import HaloExchange
from distdl_ops.movement.move import Move
from distdl_ops.movement.movement import Movement
from distdl_ops.movement.pick import Pick
from distdl_ops.movement.reduce_scatter import ReduceScatter
from distdl_ops.movement.repartition import Repartition
from distdl_ops.movement.scatter import Scatter
from distdl_ops.movement.shift import Shift
from distdl_ops.movement.slice import Slice
from distdl_ops.movement.sum_reduce import SumReduce

__all__ = [
    "AllGather",
    "AllReduce",
    "AllSumReduce",
    "AllToAll",
    "Broadcast",
    "Copy",
    "Gather",
    "HaloExchange",
    "Move",
    "Movement",
    "Pick",
    "ReduceScatter",
    "Repartition",
    "Scatter",
    "Shift",
    "Slice",
    "SumReduce",
]
