"""Linear operators between spaces with an inner product, and the machine that checks their adjoints.

An operator ``A : X -> Y`` knows its two spaces, applies itself, and has an adjoint::

    dot_Y(A x, y) == dot_X(x, A* y)        for all x in X and y in Y

Operators compose (``A @ B``), add (``A + B``) and scale (``c * A``); the adjoint of every such expression follows from
those of its parts. `check_adjoint` verifies the equation above for any operator. Only NumPy and array-api-compat are
needed; vectors may be arrays of any array API library.
"""

import linop.rewriting.rules  # noqa: F401  (they register themselves)
from linop.blocks.block import Block
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron, tensor_space
from linop.blocks.stack import HStack, VStack
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.parts import parts
from linop.core.reweight import Reweight, reweight
from linop.core.riesz import Riesz
from linop.core.scale import Scale
from linop.core.sum import Sum
from linop.core.zero import Zero
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
from linop.operators.entrywise.conjugation import Conjugation
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.entrywise.imaginary_part import ImaginaryPart
from linop.operators.entrywise.real_part import RealPart
from linop.operators.grids.interpolation import Interpolation
from linop.operators.grids.resampling import Resampling
from linop.operators.indexing.flip import Flip
from linop.operators.indexing.padding import Padding
from linop.operators.indexing.permute import Permute
from linop.operators.indexing.reshape import Reshape
from linop.operators.indexing.restriction import Restriction
from linop.operators.indexing.roll import Roll
from linop.operators.indexing.symmetrise import Symmetrise
from linop.operators.indexing.windows import Windows
from linop.operators.matrices.function import FunctionOperator
from linop.operators.matrices.functional import Functional
from linop.operators.matrices.matrix import Matrix
from linop.operators.matrices.outer import Outer
from linop.operators.matrices.sparse_matrix import SparseMatrix
from linop.operators.spectral.circulant import Circulant
from linop.operators.spectral.dct import DCT
from linop.operators.spectral.fft import FFT
from linop.operators.spectral.fractional_shift import FractionalShift
from linop.operators.spectral.irfft import IRFFT
from linop.operators.spectral.rfft import RFFT
from linop.operators.spectral.toeplitz import Toeplitz
from linop.operators.stencils.correlation import Convolution, Correlation
from linop.operators.stencils.directional_derivative import DirectionalDerivative
from linop.operators.stencils.finite_difference import FiniteDifference
from linop.operators.stencils.gradient import Gradient
from linop.operators.stencils.laplacian import Laplacian
from linop.operators.stencils.non_stationary_convolution import NonStationaryConvolution
from linop.operators.stencils.smoothing import Smoothing
from linop.operators.sums.cumulative_sum import CumulativeSum
from linop.operators.sums.sum_axes import Mean, SumAxes
from linop.operators.sums.trace import Trace
from linop.queries.claims import is_diagonal, is_isometry, is_positive, is_projection, is_self_adjoint, is_unitary
from linop.queries.condition import condition_estimate
from linop.queries.cost import Cost, cost
from linop.queries.diagonal import diagonal
from linop.queries.eigenvalues import eigenvalue_bounds
from linop.queries.inverse import inverse
from linop.queries.matrix import matrix
from linop.queries.norm import norm_estimate
from linop.queries.trace import TraceEstimate, hutchinson, trace
from linop.release import __version__ as __version__
from linop.rewriting.engine import Rewriting, derivation, rebuild, rule, simplify
from linop.show.display import notebook
from linop.show.latex import latex
from linop.show.plot import plot_matrix
from linop.show.space_name import space_name
from linop.show.tree import tree
from linop.solve.inverse import Inverse
from linop.spaces import Euclidean, Product, Space, Weighted
from linop.spaces.element import Element
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
