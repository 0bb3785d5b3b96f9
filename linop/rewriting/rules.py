"""The rewriting rules of this package; see `linop.simplify`. Each is a line of algebra."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from linop import claims
from linop.arrays import Scalar
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.blocks.stack import HStack, VStack
from linop.core.compose import Compose, compose
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.riesz import Riesz
from linop.core.scale import Scale, scale
from linop.core.sum import Sum, add
from linop.core.zero import Zero
from linop.numbers import is_moderate, matrix_product, products
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.indexing.permute import Permute
from linop.operators.indexing.reshape import Reshape
from linop.operators.indexing.restriction import Restriction
from linop.operators.matrices.matrix import Matrix
from linop.operators.spectral.circulant import Circulant
from linop.operators.spectral.fft import FFT
from linop.queries.inverse import Inverse
from linop.rewriting.engine import rule
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
def diagonals(left: Diagonal, right: Diagonal) -> LinearOperator | None:
    """``diag(a) diag(b) = diag(a b)``."""
    entries = products(left.entries, right.entries, left.domain)
    return None if entries is None else Diagonal(entries, left.domain)


@rule(Diagonal)
def diagonal_of_ones(node: Diagonal) -> LinearOperator | None:
    """``diag(1) = I``."""
    return Identity(node.domain) if np.all(node.entries == 1) else None


@rule(Matrix, Matrix)
def matrices(left: Matrix, right: Matrix) -> LinearOperator | None:
    """The product of two matrices, where it is no larger than they are."""
    entries = matrix_product(left.entries, right.entries, left.codomain)
    return None if entries is None else Matrix(entries, right.domain, left.codomain)


@rule(Circulant, Circulant)
def circulants(left: Circulant, right: Circulant) -> LinearOperator | None:
    """Two periodic convolutions are one."""
    return None if products(left.spectrum, right.spectrum, left.domain) is None else left.composed(right)


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
        if isinstance(A, Scale) and is_moderate(A.scalar, A.codomain):
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
    near = None if is_moderate(node.scalar, node.codomain) else 1  # a number that is not moderate stays where it is
    for k, factor in enumerate(factors[:near]):
        if isinstance(factor, Diagonal | Matrix):
            new = _multiplied(node.scalar, factor)
            if new is not None:
                return reduce(compose, (*factors[:k], new, *factors[k + 1 :]))
    return None


def _multiplied(scalar: Scalar, operator: Diagonal | Matrix) -> LinearOperator | None:
    """Return a multiple with other constants; None where one of them would over- or underflow."""
    entries = products(scalar, operator.entries, operator.codomain)
    if entries is None:
        return None
    if isinstance(operator, Diagonal):
        return Diagonal(entries, operator.domain)
    return Matrix(entries, operator.domain, operator.codomain)


@rule(Sum)
def like_terms(node: Sum) -> LinearOperator | None:
    """``a A + b A = (a + b) A``; diagonals add to a diagonal, matrices to a matrix."""
    numbers: dict[LinearOperator, Scalar] = {}
    for a, A in map(_multiple, node.terms):
        numbers[A] = numbers[A] + a if A in numbers else a
    if not all(np.isfinite(a) for a in numbers.values()):
        return None
    merged: list[LinearOperator] = []
    places: dict[type, int] = {}  # where there is a matrix, or a diagonal
    for A, a in numbers.items():
        term, kind = scale(a, A), Diagonal if isinstance(A, Identity) else type(A)
        place = places.setdefault(kind, len(merged)) if kind in (Matrix, Diagonal) else len(merged)
        met = _added(merged[place], term) if place < len(merged) else None
        if met is None:
            merged.append(term)
        else:
            merged[place] = met
    return None if len(merged) == len(node.terms) else reduce(add, merged)


def _added(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Return the sum of two terms of different operators as one, where it is one."""
    (a, A), (b, B) = _multiple(left), _multiple(right)
    if isinstance(A, Matrix) and isinstance(B, Matrix):
        entries = _weighted_sum(a, A.entries, b, B.entries, A.codomain)
        return None if entries is None else Matrix(entries, A.domain, A.codomain)
    if isinstance(A, Identity | Diagonal) and isinstance(B, Identity | Diagonal):
        first, second = (D.entries if isinstance(D, Diagonal) else np.ones(()) for D in (A, B))
        entries = _weighted_sum(a, first, b, second, A.codomain)
        return None if entries is None else Diagonal(entries, A.domain)
    return None


def _weighted_sum(a: Scalar, first: np.ndarray, b: Scalar, second: np.ndarray, space: Space) -> np.ndarray | None:
    """Return ``a x + b y`` for two arrays of constants; None where a number over- or underflows."""
    terms = products(a, first, space), products(b, second, space)
    if terms[0] is None or terms[1] is None:
        return None
    with np.errstate(over="ignore"):
        total = terms[0] + terms[1]
    return total if np.all(np.isfinite(total)) else None


@rule(Sum)
def common_factor(node: Sum) -> LinearOperator | None:
    """``A B + A C = A (B + C)`` and ``A C + B C = (A + B) C``."""
    split = [(a, _factors(A)) for a, A in map(_multiple, node.terms)]
    for left in (True, False):
        sharing: dict[LinearOperator, list[int]] = {}
        for k, (_, factors) in enumerate(split):
            sharing.setdefault(factors[0 if left else -1], []).append(k)
        if len(sharing) == len(split):
            continue
        terms = []
        for C, places in sharing.items():
            if len(places) == 1:
                terms.append(node.terms[places[0]])
                continue
            rest = [(split[k][0], split[k][1][1:] if left else split[k][1][:-1]) for k in places]
            inside = reduce(add, (scale(a, _product(others, C.domain if left else C.codomain)) for a, others in rest))
            terms.append(compose(C, inside) if left else compose(inside, C))
        return reduce(add, terms)
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
