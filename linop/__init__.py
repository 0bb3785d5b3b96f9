"""Linear operators between spaces with an inner product, and the machine that checks their adjoints.

An operator ``A : X -> Y`` knows its two spaces, applies itself, and has an adjoint::

    dot_Y(A x, y) == dot_X(x, A* y)        for all x in X and y in Y

Operators compose (``A @ B``), add (``A + B``) and scale (``c * A``); the adjoint of every such expression follows from
those of its parts. `check_adjoint` verifies the equation above for any operator. Only NumPy and array-api-compat are
needed; vectors may be arrays of any array API library.
"""

from linop.algebra.adjoint import Adjoint
from linop.algebra.block import Block
from linop.algebra.block_diagonal import BlockDiagonal
from linop.algebra.compose import Compose
from linop.algebra.kron import Kron, tensor_space
from linop.algebra.scale import Scale
from linop.algebra.stack import HStack, VStack
from linop.algebra.sum import Sum
from linop.element import Element
from linop.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConvergenceError,
    IntegerError,
    LinopError,
    ProcessError,
    SpaceError,
    VerificationError,
)
from linop.interop import from_pylops, from_scipy, to_pylops, to_scipy
from linop.inverse import Inverse, inverse
from linop.operator import LinearOperator
from linop.operators.circulant import Circulant
from linop.operators.conjugation import Conjugation
from linop.operators.correlation import Convolution, Correlation
from linop.operators.cumulative_sum import CumulativeSum
from linop.operators.dct import DCT
from linop.operators.diagonal import Diagonal
from linop.operators.directional_derivative import DirectionalDerivative
from linop.operators.fft import FFT
from linop.operators.finite_difference import FiniteDifference
from linop.operators.flip import Flip
from linop.operators.fractional_shift import FractionalShift
from linop.operators.function import FunctionOperator
from linop.operators.functional import Functional
from linop.operators.gradient import Gradient
from linop.operators.identity import Identity
from linop.operators.imaginary_part import ImaginaryPart
from linop.operators.interpolation import Interpolation
from linop.operators.irfft import IRFFT
from linop.operators.laplacian import Laplacian
from linop.operators.matrix import Matrix
from linop.operators.non_stationary_convolution import NonStationaryConvolution
from linop.operators.outer import Outer
from linop.operators.padding import Padding
from linop.operators.permute import Permute
from linop.operators.real_part import RealPart
from linop.operators.resampling import Resampling
from linop.operators.reshape import Reshape
from linop.operators.restriction import Restriction
from linop.operators.reweight import Reweight, reweight
from linop.operators.rfft import RFFT
from linop.operators.riesz import Riesz
from linop.operators.roll import Roll
from linop.operators.smoothing import Smoothing
from linop.operators.sparse_matrix import SparseMatrix
from linop.operators.sum_axes import Mean, SumAxes
from linop.operators.symmetrise import Symmetrise
from linop.operators.toeplitz import Toeplitz
from linop.operators.trace import Trace
from linop.operators.windows import Windows
from linop.operators.zero import Zero
from linop.queries import (
    Cost,
    TraceEstimate,
    condition_estimate,
    cost,
    diagonal,
    eigenvalue_bounds,
    hutchinson,
    is_diagonal,
    is_isometry,
    is_positive,
    is_projection,
    is_self_adjoint,
    is_unitary,
    latex,
    matrix,
    norm_estimate,
    notebook,
    parts,
    plot_matrix,
    space_name,
    trace,
    tree,
)
from linop.simplify import Rewriting, derivation, rebuild, rule, simplify
from linop.spaces import Euclidean, Product, Space, Weighted
from linop.verify import (
    Report,
    Reports,
    assert_adjoint,
    assert_batch,
    assert_claims,
    assert_correct,
    assert_linear,
    assert_pure,
    assert_space,
    check,
    check_adjoint,
    check_batch,
    check_claims,
    check_linear,
    check_pure,
    check_space,
)

__all__ = [
    "DCT",
    "FFT",
    "IRFFT",
    "RFFT",
    "Adjoint",
    "ArgumentError",
    "ArgumentTypeError",
    "Block",
    "BlockDiagonal",
    "Circulant",
    "Compose",
    "Conjugation",
    "ConvergenceError",
    "Convolution",
    "Correlation",
    "Cost",
    "CumulativeSum",
    "Diagonal",
    "DirectionalDerivative",
    "Element",
    "Euclidean",
    "FiniteDifference",
    "Flip",
    "FractionalShift",
    "FunctionOperator",
    "Functional",
    "Gradient",
    "HStack",
    "Identity",
    "ImaginaryPart",
    "IntegerError",
    "Interpolation",
    "Inverse",
    "Kron",
    "Laplacian",
    "LinearOperator",
    "LinopError",
    "Matrix",
    "Mean",
    "NonStationaryConvolution",
    "Outer",
    "Padding",
    "Permute",
    "ProcessError",
    "Product",
    "RealPart",
    "Report",
    "Reports",
    "Resampling",
    "Reshape",
    "Restriction",
    "Reweight",
    "Rewriting",
    "Riesz",
    "Roll",
    "Scale",
    "Smoothing",
    "Space",
    "SpaceError",
    "SparseMatrix",
    "Sum",
    "SumAxes",
    "Symmetrise",
    "Toeplitz",
    "Trace",
    "TraceEstimate",
    "VStack",
    "VerificationError",
    "Weighted",
    "Windows",
    "Zero",
    "assert_adjoint",
    "assert_batch",
    "assert_claims",
    "assert_correct",
    "assert_linear",
    "assert_pure",
    "assert_space",
    "check",
    "check_adjoint",
    "check_batch",
    "check_claims",
    "check_linear",
    "check_pure",
    "check_space",
    "condition_estimate",
    "cost",
    "derivation",
    "diagonal",
    "eigenvalue_bounds",
    "from_pylops",
    "from_scipy",
    "hutchinson",
    "inverse",
    "is_diagonal",
    "is_isometry",
    "is_positive",
    "is_projection",
    "is_self_adjoint",
    "is_unitary",
    "latex",
    "matrix",
    "norm_estimate",
    "notebook",
    "parts",
    "plot_matrix",
    "rebuild",
    "reweight",
    "rule",
    "simplify",
    "space_name",
    "tensor_space",
    "to_pylops",
    "to_scipy",
    "trace",
    "tree",
]
