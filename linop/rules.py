"""The rewriting rules of this package; see `linop.simplify`. Each is a line of algebra."""

from __future__ import annotations

import itertools
import math
from functools import reduce

import numpy as np

from linop import claims
from linop.algebra.block_diagonal import BlockDiagonal
from linop.algebra.compose import Compose, compose
from linop.algebra.kron import Kron
from linop.algebra.scale import Scale, scale
from linop.algebra.stack import HStack, VStack
from linop.algebra.sum import Sum, add
from linop.arrays import Scalar
from linop.inverse import Inverse
from linop.operator import LinearOperator
from linop.operators.circulant import Circulant
from linop.operators.diagonal import Diagonal
from linop.operators.fft import FFT
from linop.operators.identity import Identity
from linop.operators.matrix import Matrix
from linop.operators.permute import Permute
from linop.operators.reshape import Reshape
from linop.operators.restriction import Restriction
from linop.operators.riesz import Riesz
from linop.operators.zero import Zero
from linop.simplify import rule
from linop.spaces import Space, Weighted

# -- any two neighbours ------------------------------------------------------------------------------------------------


@rule(LinearOperator, LinearOperator)
def unitary(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """``U* U = I`` for an isometry U."""
    returns = left.codomain == right.domain  # asked first: duals and claims may take long to find
    return Identity(right.domain) if returns and left == right.dual and claims.ISOMETRY in right.claims else None


@rule(LinearOperator, LinearOperator)
def projection(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """``P P = P``."""
    return left if left == right and claims.IDEMPOTENT in left.claims else None


@rule(Inverse, LinearOperator)
def inverse_before(left: Inverse, right: LinearOperator) -> LinearOperator | None:
    """``A^-1 A = I``."""
    return Identity(right.domain) if left.operator == right else None


@rule(LinearOperator, Inverse)
def inverse_after(left: LinearOperator, right: Inverse) -> LinearOperator | None:
    """``A A^-1 = I``."""
    return Identity(left.codomain) if right.operator == left else None


@rule(Riesz, LinearOperator)
def weights_commute(left: Riesz, right: LinearOperator) -> LinearOperator | None:
    """``R A = A R``, where R is a number, or both are diagonal: on the right, R may meet its inverse."""
    if isinstance(right, Riesz) or right.domain != right.codomain:
        return None
    if _is_number(left.domain) or claims.DIAGONAL in left.claims & right.claims:
        return Compose(right, left)
    return None


def _is_number(space: Space) -> bool:
    """Say whether the weights of a space are one number."""
    return isinstance(space, Weighted) and isinstance(space.weight, float)


# -- diagonals and matrices --------------------------------------------------------------------------------------------


@rule(Diagonal, Diagonal)
def diagonals(left: Diagonal, right: Diagonal) -> LinearOperator:
    """``diag(a) diag(b) = diag(a b)``."""
    return Diagonal(left.entries * right.entries, left.domain)


@rule(Diagonal)
def diagonal_of_ones(node: Diagonal) -> LinearOperator | None:
    """``diag(1) = I``."""
    return Identity(node.domain) if np.all(node.entries == 1) else None


@rule(Matrix, Matrix)
def matrices(left: Matrix, right: Matrix) -> LinearOperator:
    """The product of two matrices, where it is no larger than they are."""
    return Matrix(left.entries @ right.entries, right.domain, left.codomain)


@rule(Circulant, Circulant)
def circulants(left: Circulant, right: Circulant) -> LinearOperator | None:
    """Two periodic convolutions are one."""
    return left.composed(right)


# -- index operators ---------------------------------------------------------------------------------------------------


@rule(Restriction, Restriction)
def restrictions(left: Restriction, right: Restriction) -> LinearOperator | None:
    """Some of some entries are some entries."""
    if not right.domain.shape or right.domain.size != math.prod(right.domain.shape):
        return None
    shape = right.domain.shape
    taken = left._apply(right._apply(np.arange(right.domain.size).reshape(shape)))  # the number of each entry
    return Restriction(right.domain, np.unravel_index(taken, shape), codomain=left.codomain)


@rule(Permute, Permute)
def permutations(left: Permute, right: Permute) -> LinearOperator:
    """Axes are permuted once."""
    axes = tuple(right.axes[k] for k in left.axes)
    if axes == tuple(range(len(axes))) and left.codomain == right.domain:
        return Identity(right.domain)
    return Permute(right.domain, axes, codomain=left.codomain)


@rule(Reshape, Reshape)
def reshapes(left: Reshape, right: Reshape) -> LinearOperator:
    """The last shape is what counts."""
    if left.codomain == right.domain:
        return Identity(right.domain)
    return Reshape(right.domain, left.codomain.shape, codomain=left.codomain)


@rule(FFT, FFT)
def transforms(left: FFT, right: FFT) -> LinearOperator | None:
    """A Fourier transform and one back are a number."""
    return left.times_identity(right)


# -- blocks and Kronecker products -------------------------------------------------------------------------------------


@rule(BlockDiagonal, BlockDiagonal)
def blocks(left: BlockDiagonal, right: BlockDiagonal) -> LinearOperator:
    """``diag(A, B) diag(C, D) = diag(A C, B D)``."""
    return BlockDiagonal(*map(compose, left.operators, right.operators))


@rule(BlockDiagonal, VStack)
def blocks_of_a_column(left: BlockDiagonal, right: VStack) -> LinearOperator:
    """Each block meets its part of the column."""
    return VStack(*map(compose, left.operators, right.operators))


@rule(HStack, BlockDiagonal)
def row_of_blocks(left: HStack, right: BlockDiagonal) -> LinearOperator:
    """Each part of the row meets its block."""
    return HStack(*map(compose, left.operators, right.operators))


@rule(HStack, VStack)
def row_and_column(left: HStack, right: VStack) -> LinearOperator:
    """A row times a column is a sum."""
    return reduce(add, map(compose, left.operators, right.operators))


@rule(BlockDiagonal)
def block_of_identities(node: BlockDiagonal) -> LinearOperator | None:
    """Identities side by side are one; so are zeros."""
    return _all_alike(node, node.operators)


@rule(Kron, Kron)
def mixed_product(left: Kron, right: Kron) -> LinearOperator | None:
    """``(A (x) B) (C (x) D) = A C (x) B D``."""
    if len(left.operators) != len(right.operators):
        return None
    if any(a.domain != b.codomain for a, b in zip(left.operators, right.operators, strict=True)):
        return None
    return Kron(*map(compose, left.operators, right.operators))


@rule(Kron)
def kron_of_identities(node: Kron) -> LinearOperator | None:
    """``I (x) I = I``; a factor of zero makes it zero."""
    if any(isinstance(A, Zero) for A in node.operators):
        return Zero(node.domain, node.codomain)
    return _all_alike(node, node.operators)


@rule(Kron)
def kron_of_multiples(node: Kron) -> LinearOperator | None:
    """``(c A) (x) B = c (A (x) B)``."""
    for k, A in enumerate(node.operators):
        if isinstance(A, Scale):
            return scale(A.scalar, Kron(*node.operators[:k], A.operator, *node.operators[k + 1 :]))
    return None


def _all_alike(node: LinearOperator, operators: tuple[LinearOperator, ...]) -> LinearOperator | None:
    """Return the identity or zero between the node's spaces, where all its operators are that."""
    if all(isinstance(A, Identity) for A in operators):
        return Identity(node.domain)
    if all(isinstance(A, Zero) for A in operators):
        return Zero(node.domain, node.codomain)
    return None


@rule(VStack)
def common_right_factor(node: VStack) -> LinearOperator | None:
    """``(A C, B C) = (A, B) C``."""
    split = [_factors(A) for A in node.operators]
    if len(split) < 2 or any(factors[-1] != split[0][-1] for factors in split):
        return None
    return compose(VStack(*(_product(f[:-1], split[0][-1].codomain) for f in split)), split[0][-1])


@rule(HStack)
def common_left_factor(node: HStack) -> LinearOperator | None:
    """``(C A, C B) = C (A, B)``."""
    split = [_factors(A) for A in node.operators]
    if len(split) < 2 or any(factors[0] != split[0][0] for factors in split):
        return None
    return compose(split[0][0], HStack(*(_product(f[1:], split[0][0].domain) for f in split)))


# -- scalars and sums --------------------------------------------------------------------------------------------------


@rule(Scale)
def absorbed(node: Scale) -> LinearOperator | None:
    """A number goes into the constants of a diagonal or a matrix, where there is one."""
    factors = _factors(node.operator)
    for k, factor in enumerate(factors):
        if isinstance(factor, Diagonal):
            new: LinearOperator = Diagonal(node.scalar * factor.entries, factor.domain)
        elif isinstance(factor, Matrix):
            new = Matrix(node.scalar * factor.entries, factor.domain, factor.codomain)
        else:
            continue
        return reduce(compose, (*factors[:k], new, *factors[k + 1 :]))
    return None


@rule(Sum)
def like_terms(node: Sum) -> LinearOperator | None:
    """``a A + b A = (a + b) A``; diagonals add to a diagonal, matrices to a matrix."""
    numbers: dict[LinearOperator, Scalar] = {}
    for a, A in map(_multiple, node.terms):
        numbers[A] = numbers[A] + a if A in numbers else a
    merged: list[LinearOperator] = []
    for A, a in numbers.items():
        term = scale(a, A)
        for k, other in enumerate(merged if isinstance(A, Matrix | Identity | Diagonal) else ()):
            if (met := _added(other, term)) is not None:
                merged[k] = met
                break
        else:
            merged.append(term)
    return None if len(merged) == len(node.terms) else reduce(add, merged)


def _added(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Return the sum of two terms of different operators as one, where it is one."""
    (a, A), (b, B) = _multiple(left), _multiple(right)
    if isinstance(A, Matrix) and isinstance(B, Matrix):
        return Matrix(a * A.entries + b * B.entries, A.domain, A.codomain)
    if isinstance(A, Identity | Diagonal) and isinstance(B, Identity | Diagonal):
        first, second = (D.entries if isinstance(D, Diagonal) else np.float64(1) for D in (A, B))
        return Diagonal(a * first + b * second, A.domain)
    return None


@rule(Sum)
def common_factor(node: Sum) -> LinearOperator | None:
    """``A B + A C = A (B + C)`` and ``A C + B C = (A + B) C``."""
    for i, j in itertools.combinations(range(len(node.terms)), 2):
        (a, A), (b, B) = _multiple(node.terms[i]), _multiple(node.terms[j])
        first, second = _factors(A), _factors(B)
        if first[0] == second[0]:
            C = first[0]
            inside = add(scale(a, _product(first[1:], C.domain)), scale(b, _product(second[1:], C.domain)))
            met = compose(C, inside)
        elif first[-1] == second[-1]:
            C = first[-1]
            inside = add(scale(a, _product(first[:-1], C.codomain)), scale(b, _product(second[:-1], C.codomain)))
            met = compose(inside, C)
        else:
            continue
        rest = [term for k, term in enumerate(node.terms) if k not in (i, j)]
        return reduce(add, [met, *rest])
    return None


def _multiple(term: LinearOperator) -> tuple[Scalar, LinearOperator]:
    """Return a term as a number and an operator."""
    return (term.scalar, term.operator) if isinstance(term, Scale) and term.commutes else (1.0, term)


def _factors(operator: LinearOperator) -> tuple[LinearOperator, ...]:
    """Return the factors of a product, or the operator as the only one."""
    return operator.factors if isinstance(operator, Compose) else (operator,)


def _product(factors: tuple[LinearOperator, ...], space: Space) -> LinearOperator:
    """Return the product of factors; the identity of a space without any."""
    return reduce(compose, factors) if factors else Identity(space)
