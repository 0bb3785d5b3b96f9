"""Linear operators across processes: spaces that are spread over ranks, and every data movement between them.

A layout of a tensor over a grid of ranks is a vector space, and moving data is one formula, ``M(S, T) = E_T E_S*``. It
runs on simulated ranks in one process (`simulate`) and on MPI (`world`, under ``mpiexec``), unchanged.
"""

from distdl_ops import name_clash  # noqa: F401  (first of all: it raises where another linop is in the way)
from distdl_ops.advice.cost import ParallelCost, costs, traffic
from distdl_ops.advice.machine import Machine, calibrate
from distdl_ops.advice.routes import Advice, advise
from distdl_ops.advice.scaling import Scaling, scaling
from distdl_ops.compositions.cumulative_sum import DistributedCumulativeSum
from distdl_ops.compositions.diagonal import DistributedDiagonal
from distdl_ops.compositions.flip import DistributedFlip
from distdl_ops.compositions.fourier.dct import DistributedDCT
from distdl_ops.compositions.fourier.fft import DistributedFFT
from distdl_ops.compositions.fourier.fractional_shift import DistributedFractionalShift
from distdl_ops.compositions.fourier.rfft import DistributedRFFT
from distdl_ops.compositions.gather import DistributedGather
from distdl_ops.compositions.interpolation import DistributedInterpolation
from distdl_ops.compositions.local import Local
from distdl_ops.compositions.matrix_product import DistributedMatrix
from distdl_ops.compositions.restriction import DistributedRestriction
from distdl_ops.compositions.roll import DistributedRoll
from distdl_ops.compositions.sparse_matrix import DistributedSparseMatrix
from distdl_ops.compositions.stencils.convolution import DistributedConvolution, DistributedCorrelation
from distdl_ops.compositions.stencils.directional_derivative import DistributedDirectionalDerivative
from distdl_ops.compositions.stencils.finite_difference import DistributedFiniteDifference
from distdl_ops.compositions.stencils.gradient import DistributedGradient
from distdl_ops.compositions.stencils.laplacian import DistributedLaplacian
from distdl_ops.compositions.stencils.non_stationary_convolution import DistributedNonStationaryConvolution
from distdl_ops.compositions.stencils.smoothing import DistributedSmoothing
from distdl_ops.compositions.symmetrise import DistributedSymmetrise
from distdl_ops.compositions.uneven_all_to_all import UnevenAllToAll
from distdl_ops.compositions.windows import DistributedWindows
from distdl_ops.grid import Grid
from distdl_ops.layouts.cyclic import Cyclic
from distdl_ops.layouts.intervals import balanced
from distdl_ops.layouts.roles import At, Copies, Replicated, Role, Split
from distdl_ops.movement.all_to_all import AllToAll
from distdl_ops.movement.halo_exchange import HaloExchange
from distdl_ops.movement.in_flight import InFlight
from distdl_ops.movement.move import Move
from distdl_ops.movement.movement import Movement
from distdl_ops.movement.named import (
    AllGather,
    AllReduce,
    AllSumReduce,
    Broadcast,
    Copy,
    Gather,
    Pick,
    ReduceScatter,
    Scatter,
    Slice,
    SumReduce,
)
from distdl_ops.movement.prefix_sum import PrefixSum
from distdl_ops.movement.repartition import Repartition
from distdl_ops.movement.shift import Shift
from distdl_ops.movement.start_finish import Finish, Start
from distdl_ops.rewriting import diagonals, movements  # noqa: F401  (rules register themselves)
from distdl_ops.show.draw import draw
from distdl_ops.show.explain import Explanation, explain
from distdl_ops.show.plot import plot_matrix
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds import AgreementError, DeadlockError, RankFailedError, World, simulate, world
from linop.release import __version__ as __version__

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
    "DistributedDCT",
    "DistributedDiagonal",
    "DistributedDirectionalDerivative",
    "DistributedFFT",
    "DistributedFiniteDifference",
    "DistributedFlip",
    "DistributedFractionalShift",
    "DistributedGather",
    "DistributedGradient",
    "DistributedInterpolation",
    "DistributedLaplacian",
    "DistributedMatrix",
    "DistributedNonStationaryConvolution",
    "DistributedRFFT",
    "DistributedRestriction",
    "DistributedRoll",
    "DistributedSmoothing",
    "DistributedSpace",
    "DistributedSparseMatrix",
    "DistributedSymmetrise",
    "DistributedWindows",
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
