"""The rewriting rules of this package; see `linop.simplify`. Each is a line of algebra."""

from __future__ import annotations

from functools import reduce

import numpy as np

from linop import claims
from linop.arrays import Scalar
from linop.core.compose import Compose, compose, factors_of, product_of
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.riesz import Riesz
from linop.core.scale import Scale, scale
from linop.core.sum import Sum, add
from linop.numbers import is_moderate, products
from linop.rewriting.constants import constants
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


# -- scalars and sums --------------------------------------------------------------------------------------------------


@rule(Scale)
def absorbed(node: Scale) -> LinearOperator | None:
    """A number goes into the constants of a diagonal or a matrix, where there is one."""
    factors = factors_of(node.operator)
    near = None if is_moderate(node.scalar, node.codomain) else 1  # a number that is not moderate stays where it is
    for k, factor in enumerate(factors[:near]):
        known = constants(factor)
        if known is not None and type(factor) is known.kind:  # an identity is no diagonal before it is multiplied
            entries = products(node.scalar, known.entries, factor.codomain)
            if entries is not None:
                return reduce(compose, (*factors[:k], known.made(entries), *factors[k + 1 :]))
    return None


@rule(Sum)
def like_terms(node: Sum) -> LinearOperator | None:
    """``a A + b A = (a + b) A``; diagonals add to a diagonal, matrices to a matrix."""
    numbers: dict[LinearOperator, Scalar] = {}
    for a, A in map(_multiple, node.terms):
        numbers[A] = numbers[A] + a if A in numbers else a
    if not all(np.isfinite(a) for a in numbers.values()):
        return None
    merged: list[LinearOperator] = []
    places: dict[type, int] = {}  # where a kind of constants stands
    for A, a in numbers.items():
        term, known = scale(a, A), constants(A)
        place = len(merged) if known is None else places.setdefault(known.kind, len(merged))
        together = _added(merged[place], term) if place < len(merged) else None
        if together is None:
            merged.append(term)
        else:
            merged[place] = together
    return None if len(merged) == len(node.terms) else reduce(add, merged)


def _added(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Return the sum of two terms as one operator, where their constants are of one kind and add up."""
    (a, A), (b, B) = _multiple(left), _multiple(right)
    first, second = constants(A), constants(B)
    if first is None or second is None or first.kind is not second.kind:
        return None
    entries = _weighted_sum(a, first.entries, b, second.entries, A.codomain)
    return None if entries is None else first.made(entries)


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
    split = [(a, factors_of(A)) for a, A in map(_multiple, node.terms)]
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
            inside = reduce(add, (scale(a, product_of(others, C.domain if left else C.codomain)) for a, others in rest))
            terms.append(compose(C, inside) if left else compose(inside, C))
        return reduce(add, terms)
    return None


def _multiple(term: LinearOperator) -> tuple[Scalar, LinearOperator]:
    """Return a term as a number and an operator."""
    return (term.scalar, term.operator) if isinstance(term, Scale) and term.commutes else (1.0, term)
