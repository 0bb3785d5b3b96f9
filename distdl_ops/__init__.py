"""Linear operators across processes: spaces that are spread over ranks, and every data movement between them.

A layout of a tensor over a grid of ranks is a vector space, and moving data is one formula, ``M(S, T) = E_T E_S*``. It
runs on simulated ranks in one process (`simulate`) and on MPI (`world`, under ``mpiexec``), unchanged.
"""

from distdl_ops.advice.cost import ParallelCost, costs, traffic
from distdl_ops.advice.machine import Machine, calibrate
from distdl_ops.advice.routes import Advice, advise
from distdl_ops.advice.scaling import Scaling, scaling
from distdl_ops.compositions.cumulative_sum import DistributedCumulativeSum
from distdl_ops.compositions.diagonal import DistributedDiagonal
from distdl_ops.compositions.fourier.fft import DistributedFFT
from distdl_ops.compositions.fourier.rfft import DistributedRFFT
from distdl_ops.compositions.gather import DistributedGather
from distdl_ops.compositions.interpolation import DistributedInterpolation
from distdl_ops.compositions.local import Local
from distdl_ops.compositions.matrix_product import DistributedMatrix
from distdl_ops.compositions.restriction import DistributedRestriction
from distdl_ops.compositions.sparse_matrix import DistributedSparseMatrix
from distdl_ops.compositions.stencils.convolution import DistributedConvolution, DistributedCorrelation
from distdl_ops.compositions.stencils.finite_difference import DistributedFiniteDifference
from distdl_ops.compositions.stencils.gradient import DistributedGradient
from distdl_ops.compositions.uneven_all_to_all import UnevenAllToAll
from distdl_ops.grid import Grid
from distdl_ops.layouts.cyclic import Cyclic
from distdl_ops.layouts.intervals import balanced
from distdl_ops.layouts.roles import At, Copies, Replicated, Role, Split
from distdl_ops.movement.all_gather import AllGather
from distdl_ops.movement.all_reduce import AllReduce
from distdl_ops.movement.all_sum_reduce import AllSumReduce
from distdl_ops.movement.all_to_all import AllToAll
from distdl_ops.movement.broadcast import Broadcast
from distdl_ops.movement.copy import Copy
from distdl_ops.movement.gather import Gather
from distdl_ops.movement.halo_exchange import HaloExchange
from distdl_ops.movement.in_flight import InFlight
from distdl_ops.movement.move import Move
from distdl_ops.movement.movement import Movement
from distdl_ops.movement.pick import Pick
from distdl_ops.movement.prefix_sum import PrefixSum
from distdl_ops.movement.reduce_scatter import ReduceScatter
from distdl_ops.movement.repartition import Repartition
from distdl_ops.movement.scatter import Scatter
from distdl_ops.movement.shift import Shift
from distdl_ops.movement.slice import Slice
from distdl_ops.movement.start_finish import Finish, Start
from distdl_ops.movement.sum_reduce import SumReduce
from distdl_ops.rewriting import rules  # noqa: F401  (they register themselves)
from distdl_ops.show.draw import draw
from distdl_ops.show.explain import Explanation, explain
from distdl_ops.show.plot import plot_matrix
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds import AgreementError, DeadlockError, RankFailedError, World, simulate, world

__all__ = [
    "Advice",
    "AgreementError",
    "AllGather",
    "AllReduce",
    "AllSumReduce",
    "AllToAll",
    "At",
    "Broadcast",
    "Copies",
    "Copy",
    "Cyclic",
    "DeadlockError",
    "DistributedConvolution",
    "DistributedCorrelation",
    "DistributedCumulativeSum",
    "DistributedDiagonal",
    "DistributedFFT",
    "DistributedFiniteDifference",
    "DistributedGather",
    "DistributedGradient",
    "DistributedInterpolation",
    "DistributedMatrix",
    "DistributedRFFT",
    "DistributedRestriction",
    "DistributedSpace",
    "DistributedSparseMatrix",
    "Explanation",
    "Finish",
    "Gather",
    "Grid",
    "HaloExchange",
    "InFlight",
    "Local",
    "Machine",
    "Move",
    "Movement",
    "ParallelCost",
    "Pick",
    "PrefixSum",
    "RankFailedError",
    "ReduceScatter",
    "Repartition",
    "Replicated",
    "Role",
    "Scaling",
    "Scatter",
    "Shift",
    "Slice",
    "Split",
    "Start",
    "SumReduce",
    "UnevenAllToAll",
    "World",
    "advise",
    "balanced",
    "calibrate",
    "costs",
    "draw",
    "explain",
    "plot_matrix",
    "scaling",
    "simulate",
    "traffic",
    "world",
]
