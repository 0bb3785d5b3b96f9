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
from linop.errors import ConvergenceError, SpaceError, VerificationError
from linop.inverse import Inverse, inverse
from linop.operator import LinearOperator
from linop.operators.diagonal import Diagonal
from linop.operators.function import FunctionOperator
from linop.operators.identity import Identity
from linop.operators.matrix import Matrix
from linop.operators.reweight import Reweight, reweight
from linop.operators.riesz import Riesz
from linop.operators.zero import Zero
from linop.queries import matrix
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
    "Adjoint",
    "Block",
    "BlockDiagonal",
    "Compose",
    "ConvergenceError",
    "Diagonal",
    "Euclidean",
    "FunctionOperator",
    "HStack",
    "Identity",
    "Inverse",
    "Kron",
    "LinearOperator",
    "Matrix",
    "Product",
    "Report",
    "Reports",
    "Reweight",
    "Riesz",
    "Scale",
    "Space",
    "SpaceError",
    "Sum",
    "VStack",
    "VerificationError",
    "Weighted",
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
    "inverse",
    "matrix",
    "reweight",
    "tensor_space",
]
