"""What is known of an operator with respect to the inner products of its spaces.

True is a proof: from the structure of the expression, and from what its operators claim. False means *not known to be*.

An operator claims with respect to `Space.dot` (see `linop.claims`); the answers here are with respect to `Space.inner`,
where ``A.H = R_X^-1 A* R_Y`` for the Riesz maps R of domain and codomain. Without weights the two are the same. With
weights, this much is used:

* A is self-adjoint or positive with respect to ``inner`` just where ``R A`` is with respect to ``dot``. Hence R, its
  inverse and ``B.H @ B`` are positive.
* What commutes with R loses nothing: any A where R is a number, and a diagonal A where R is diagonal, too.
* Sums, real multiples and inverses keep symmetry; ``A + A.H``, and what else has the `expansion` of its adjoint, is
  self-adjoint.
* Products of isometries are isometries.
* To be idempotent, or diagonal, has nothing to do with weights.

Where the constants of an operator are spread over processes, each process answers for those that it holds.
"""

from __future__ import annotations

from collections.abc import Callable

from linop import claims
from linop.arguments import checked
from linop.blocks.block import Block
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose, compose
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.parts import parts
from linop.core.reweight import Reweight
from linop.core.riesz import Riesz
from linop.core.scale import Scale
from linop.core.sum import Sum
from linop.core.zero import Zero
from linop.queries.expansion import expansion
from linop.queries.weights import has_diagonal_weights, weight_number
from linop.query import Query, Reply, query
from linop.solve.inverse import Inverse


@checked
@query
def is_self_adjoint(operator: LinearOperator) -> Reply[bool]:
    """Say whether ``A.H = A`` is known.

    Parameters
    ----------
    operator : LinearOperator
        A.

    Returns
    -------
    bool
        True is a proof; False means not known to be.

    Examples
    --------
    >>> from linop import Euclidean, Matrix, Weighted
    >>> X = Weighted(Euclidean(2), [1.0, 4.0])
    >>> A = Matrix([[0.0, 1.0], [1.0, 0.0]], X, X)            # symmetric, but not where the weights are
    >>> is_self_adjoint(A), is_self_adjoint(A + A.H), is_self_adjoint(X.riesz)
    (False, True, True)
    """
    if operator.domain != operator.codomain:
        return False
    if (yield from _is_symmetric(operator, claims.SELF_ADJOINT)):
        return True
    bases = yield _powers_of.about(operator)
    if not bases or (len(bases) == 1 and bases[0] is not operator and (yield bases[0])):
        return True
    terms = yield expansion.about(operator)
    return terms is not None and terms == (yield expansion.about(operator.H))


@checked
@query
def is_positive(operator: LinearOperator) -> Reply[bool]:
    """Say whether A is known to be self-adjoint with ``inner(x, A x) >= 0`` for all x.

    Parameters
    ----------
    operator : LinearOperator
        A.

    Returns
    -------
    bool
        True is a proof; False means not known to be.

    Examples
    --------
    >>> from linop import Matrix
    >>> A = Matrix([[0.0, 1.0], [2.0, 3.0]])
    >>> is_positive(A.H @ A), is_positive(A)
    (True, False)
    """
    return (yield from _is_symmetric(operator, claims.POSITIVE))


@checked
@query
def is_isometry(operator: LinearOperator) -> Reply[bool]:
    """Say whether ``A.H A = I`` is known: lengths, and inner products, are kept.

    Parameters
    ----------
    operator : LinearOperator
        A.

    Returns
    -------
    bool
        True is a proof; False means not known to be.

    Examples
    --------
    >>> from linop import Diagonal, Euclidean, Weighted
    >>> from linop import Reweight
    >>> X = Euclidean(2)
    >>> is_isometry(Diagonal([1.0, -1.0])), is_isometry(Reweight(X, Weighted(X, 4.0)))
    (True, False)
    """
    domain, codomain = operator.domain, operator.codomain
    square = domain.size == codomain.size
    claimed = claims.ISOMETRY in operator.claims or (square and claims.COISOMETRY in operator.claims)
    same = (weight := weight_number(domain)) is not None and weight == weight_number(codomain)
    if claimed and (same or (domain == codomain and (yield from _commutes_with_weights(operator)))):
        return True
    return compose(operator.H, operator) == Identity(domain)


@checked
def is_unitary(operator: LinearOperator) -> bool:
    """Say whether A is known to be an isometry onto its codomain: ``A.H`` is its inverse.

    Parameters
    ----------
    operator : LinearOperator
        A.

    Returns
    -------
    bool
        True is a proof; False means not known to be. It is `is_isometry` between spaces of the same size.

    Examples
    --------
    >>> from linop import Diagonal
    >>> is_unitary(Diagonal([1.0, 1j])), is_unitary(Diagonal([1.0, 2j]))
    (True, False)
    """
    return operator.domain.size == operator.codomain.size and is_isometry(operator)


@checked
@query
def is_projection(operator: LinearOperator) -> Reply[bool]:
    """Say whether A is known to be an orthogonal projection: idempotent, ``A A = A``, and self-adjoint.

    Parameters
    ----------
    operator : LinearOperator
        A.

    Returns
    -------
    bool
        True is a proof; False means not known to be.

    Examples
    --------
    >>> from linop import Diagonal, Identity
    >>> P = Diagonal([1.0, 0.0])
    >>> is_projection(P), is_projection(Identity(P.domain) - P), is_projection(2 * P)
    (True, True, False)
    """
    return claims.IDEMPOTENT in operator.claims and bool((yield is_self_adjoint.about(operator)))


@checked
@query
def is_diagonal(operator: LinearOperator) -> bool:
    """Say whether A is known to act on each entry by itself: of a real space of complex arrays, on two coordinates.

    Parameters
    ----------
    operator : LinearOperator
        A.

    Returns
    -------
    bool
        True is a proof; False means not known to be. Weights do not matter.

    Examples
    --------
    >>> from linop import Diagonal, Matrix
    >>> D = Diagonal([1.0, 2.0])
    >>> is_diagonal(D @ D + D), is_diagonal(Matrix([[1.0, 0.0], [0.0, 1.0]]))
    (True, False)
    """
    return claims.DIAGONAL in operator.claims


# -- what follows for expressions --------------------------------------------------------------------------------------


def _default(ask: Query[bool], operator: LinearOperator) -> Reply[bool]:
    """Return the answer that an operator of no known structure would get."""
    answer: bool = yield from ask.dispatch(LinearOperator)(operator)
    return answer


def _holds_for_all(operators: tuple[LinearOperator, ...]) -> Reply[bool]:
    """Say whether the answer is yes for all of several operators."""
    for operator in operators:
        if not (yield operator):
            return False
    return True


def _of_all_parts(ask: Query[bool]) -> Callable[[LinearOperator], Reply[bool]]:
    """Return the answer for expressions of which it is true where it is true of all parts."""

    def answer(operator: LinearOperator) -> Reply[bool]:
        return (yield from _holds_for_all(parts(operator))) or (yield from _default(ask, operator))

    return answer


@is_self_adjoint.register
def _(operator: Scale) -> Reply[bool]:
    kept = operator.scalar.imag == 0 and (yield operator.operator)
    return kept or (yield from _default(is_self_adjoint, operator))


@is_positive.register
def _(operator: Scale) -> Reply[bool]:
    scalar = operator.scalar
    kept = scalar.imag == 0 and scalar.real >= 0 and (yield operator.operator)
    return kept or (yield from _default(is_positive, operator))


@is_self_adjoint.register
def _(operator: Block) -> Reply[bool]:
    """Each block is the adjoint of its mirror image, with respect to the inner products of the parts."""
    rows, n = operator.rows, len(operator.rows)
    if operator.domain != operator.codomain or not (yield from _holds_for_all(tuple(rows[i][i] for i in range(n)))):
        return False
    return all(rows[j][i] == rows[i][j].H for i in range(n) for j in range(i))


@is_isometry.register
def _(operator: Scale) -> Reply[bool]:
    if not operator.commutes:  # in a real space of complex arrays, weights may treat the two parts differently
        return (yield from _default(is_isometry, operator))
    return abs(operator.scalar) == 1 and (yield operator.operator)


@is_projection.register
def _(operator: Compose) -> Reply[bool]:
    """Where the product is ``Q Q.H`` for an isometry Q, it projects onto Q's range."""
    factors, middle = operator.factors, len(operator.factors) // 2
    for k in range(max(middle - NEAR, 1), min(middle + NEAR + 1, len(factors))):
        left, right = _product(factors[:k]), _product(factors[k:])
        if right == left.H and (yield is_isometry.about(left)):
            return True
    return (yield from _default(is_projection, operator))


NEAR = 4
"""How far from the middle of a product ``Q Q.H`` the two may meet: Riesz maps stand around an adjoint, or cancel."""


@is_projection.register
def _(operator: Sum) -> Reply[bool]:
    """``I - P`` projects onto the complement."""
    if len(operator.terms) == 2:
        for one, other in (operator.terms, operator.terms[::-1]):
            if isinstance(one, Identity) and isinstance(other, Scale) and other.scalar == -1:
                return bool((yield other.operator))
    return (yield from _default(is_projection, operator))


@is_diagonal.register
def _(operator: Compose) -> Reply[bool]:
    others = tuple(factor for factor in operator.factors if not isinstance(factor, Reweight))
    return operator.domain == operator.codomain and (yield from _holds_for_all(others))


@is_diagonal.register
def _(operator: Riesz) -> bool:
    return has_diagonal_weights(operator.domain)


@is_diagonal.register
def _(operator: Scale | Sum | BlockDiagonal | Kron) -> Reply[bool]:
    return (yield from _holds_for_all(parts(operator))) or claims.DIAGONAL in operator.claims


is_isometry.register(Compose, _of_all_parts(is_isometry))
for _ask in (is_self_adjoint, is_positive):
    _ask.register(Sum, _of_all_parts(_ask))
    _ask.register(Inverse, _of_all_parts(_ask))
for _ask in (is_self_adjoint, is_positive, is_isometry, is_projection):
    _ask.register(BlockDiagonal, _of_all_parts(_ask))
    _ask.register(Kron, _of_all_parts(_ask))


# -- polynomials -------------------------------------------------------------------------------------------------------


@query
def _powers_of(operator: LinearOperator) -> list[LinearOperator]:
    """Return the operators, two at most, of which an expression is a polynomial or an inverse, with real coefficients.

    A polynomial of one operator commutes with that, and is self-adjoint as that is; of none, it is a real multiple of
    the identity.
    """
    return [operator]


@_powers_of.register
def _(operator: Identity | Zero) -> list[LinearOperator]:
    return [] if operator.domain == operator.codomain else [operator]


@_powers_of.register
def _(operator: Scale) -> Reply[list[LinearOperator]]:
    return (yield operator.operator) if operator.scalar.imag == 0 else [operator]


@_powers_of.register
def _(operator: Inverse) -> Reply[list[LinearOperator]]:
    return (yield operator.operator) if operator.domain == operator.codomain else [operator]


@_powers_of.register
def _(operator: Adjoint) -> list[LinearOperator]:
    same = claims.SELF_ADJOINT in operator.operator.claims and not operator.domain.weighted
    return [operator.operator if same else operator]


@_powers_of.register
def _(operator: Sum | Compose) -> Reply[list[LinearOperator]]:
    inside = parts(operator)
    if any(part.domain != operator.domain or part.codomain != operator.domain for part in inside):
        return [operator]
    found: list[LinearOperator] = []
    for part in inside:
        for one in (yield part):
            if one not in found:
                found.append(one)
        if len(found) > 1:
            return found
    return found


# -- weights -----------------------------------------------------------------------------------------------------------


def _is_symmetric(operator: LinearOperator, claim: str) -> Reply[bool]:
    """Say whether ``R A`` is known to be self-adjoint, or positive, with respect to `Space.dot`."""
    space = operator.domain
    if space != operator.codomain:
        return False
    if claim in operator.claims and (yield from _commutes_with_weights(operator)):
        return True
    weighed = compose(space.riesz, operator)
    if claim in weighed.claims:
        return True
    factors = weighed.factors if isinstance(weighed, Compose) else (weighed,)
    if len(factors) == 1 or factors[0].dual != factors[-1]:
        return False
    around = 0
    while 2 * around + 1 < len(factors) and factors[around].dual == factors[-1 - around]:
        around += 1  # L* M L is symmetric as M is
    factors = factors[around : len(factors) - around]
    if not factors:
        return True
    core = _product(factors)
    if len(factors) > 1:  # R M or M R^-1, on a weighted space in between
        first, last = factors[0], factors[-1]
        if isinstance(first, Riesz) and not first.inverse:
            return bool((yield _product(factors[1:])))
        if isinstance(last, Riesz) and last.inverse:
            return bool((yield _product(factors[:-1])))
    return claim in core.claims or (not core.domain.weighted and bool((yield core)))


def _commutes_with_weights(operator: LinearOperator) -> Reply[bool]:
    """Say whether a map from a space to itself is known to commute with the Riesz map."""
    space = operator.domain
    if weight_number(space) is not None:
        return True
    return has_diagonal_weights(space) and bool((yield is_diagonal.about(operator)))


def _product(factors: tuple[LinearOperator, ...]) -> LinearOperator:
    return factors[0] if len(factors) == 1 else Compose(*factors)
