"""Linear algebra on tensors that are spread over ranks: movements and local operators, composed.

Each is a function that returns the expression it is named for, so that its adjoint follows from those of its factors,
and equals the operator of the same name in `linop`, laid out: ``A(X.from_global(x)) == Y.from_global(serial(x))``.
"""

from distdl_ops.compositions.convolution import DistributedConvolution, DistributedCorrelation
from distdl_ops.compositions.diagonal import DistributedDiagonal
from distdl_ops.compositions.fft import DistributedFFT
from distdl_ops.compositions.finite_difference import DistributedFiniteDifference
from distdl_ops.compositions.gather import DistributedGather
from distdl_ops.compositions.gradient import DistributedGradient
from distdl_ops.compositions.interpolation import DistributedInterpolation
from distdl_ops.compositions.matrix_product import DistributedMatrix
from distdl_ops.compositions.restriction import DistributedRestriction
from distdl_ops.compositions.rfft import DistributedRFFT
from distdl_ops.compositions.sparse_matrix import DistributedSparseMatrix
from distdl_ops.compositions.uneven_all_to_all import UnevenAllToAll

__all__ = [
    "DistributedConvolution",
    "DistributedCorrelation",
    "DistributedDiagonal",
    "DistributedFFT",
    "DistributedFiniteDifference",
    "DistributedGather",
    "DistributedGradient",
    "DistributedInterpolation",
    "DistributedMatrix",
    "DistributedRFFT",
    "DistributedRestriction",
    "DistributedSparseMatrix",
    "UnevenAllToAll",
]
