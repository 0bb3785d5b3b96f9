"""Linear algebra on tensors that are spread over ranks: movements and local operators, composed.

Each is a function that returns the expression it is named for, so that its adjoint follows from those of its factors,
and equals the operator of the same name in `linop`, laid out: ``A(X.from_global(x)) == Y.from_global(serial(x))``.
"""

from distdl_ops.compositions.convolution import DistributedConvolution, DistributedCorrelation
from distdl_ops.compositions.dct import DistributedDCT
from distdl_ops.compositions.diagonal import DistributedDiagonal
from distdl_ops.compositions.directional_derivative import DistributedDirectionalDerivative
from distdl_ops.compositions.fft import DistributedFFT
from distdl_ops.compositions.finite_difference import DistributedFiniteDifference
from distdl_ops.compositions.flip import DistributedFlip
from distdl_ops.compositions.fractional_shift import DistributedFractionalShift
from distdl_ops.compositions.gather import DistributedGather
from distdl_ops.compositions.gradient import DistributedGradient
from distdl_ops.compositions.interpolation import DistributedInterpolation
from distdl_ops.compositions.laplacian import DistributedLaplacian
from distdl_ops.compositions.matrix_product import DistributedMatrix
from distdl_ops.compositions.non_stationary_convolution import DistributedNonStationaryConvolution
from distdl_ops.compositions.restriction import DistributedRestriction
from distdl_ops.compositions.rfft import DistributedRFFT
from distdl_ops.compositions.roll import DistributedRoll
from distdl_ops.compositions.sliding_windows import DistributedWindows
from distdl_ops.compositions.smoothing import DistributedSmoothing
from distdl_ops.compositions.sparse_matrix import DistributedSparseMatrix
from distdl_ops.compositions.symmetrise import DistributedSymmetrise
from distdl_ops.compositions.uneven_all_to_all import UnevenAllToAll

__all__ = [
    "DistributedConvolution",
    "DistributedCorrelation",
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
    "DistributedSparseMatrix",
    "DistributedSymmetrise",
    "DistributedWindows",
    "UnevenAllToAll",
]
