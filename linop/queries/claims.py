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
from functools import singledispatch

from linop import claims
from linop.algebra.block import Block
from linop.algebra.block_diagonal import BlockDiagonal
from linop.algebra.compose import Compose, compose
from linop.algebra.kron import Kron
from linop.algebra.scale import Scale
from linop.algebra.sum import Sum
from linop.arguments import checked
from linop.inverse import Inverse
from linop.operator import LinearOperator
from linop.operators.identity import Identity
from linop.operators.reweight import Reweight
from linop.operators.riesz import Riesz
from linop.queries.expansion import expansion
from linop.queries.parts import parts
from linop.queries.weights import has_diagonal_weights, weight_number


@checked
@singledispatch
def is_self_adjoint(operator: LinearOperator) -> bool:
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
    if _is_symmetric(operator, claims.SELF_ADJOINT, is_self_adjoint):
        return True
    terms = expansion(operator)
    return terms is not None and terms == expansion(operator.H)


@checked
@singledispatch
def is_positive(operator: LinearOperator) -> bool:
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
    return _is_symmetric(operator, claims.POSITIVE, is_positive)


@checked
@singledispatch
def is_isometry(operator: LinearOperator) -> bool:
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
    if claimed and (same or (domain == codomain and _commutes_with_weights(operator))):
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
@singledispatch
def is_projection(operator: LinearOperator) -> bool:
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
    return claims.IDEMPOTENT in operator.claims and is_self_adjoint(operator)


@checked
@singledispatch
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


@is_self_adjoint.register
def _(operator: Sum) -> bool:
    return all(map(is_self_adjoint, operator.terms)) or _default(is_self_adjoint, operator)


@is_self_adjoint.register
def _(operator: Scale) -> bool:
    return (operator.scalar.imag == 0 and is_self_adjoint(operator.operator)) or _default(is_self_adjoint, operator)


@is_self_adjoint.register
def _(operator: Inverse) -> bool:
    return is_self_adjoint(operator.operator) or _default(is_self_adjoint, operator)


@is_positive.register
def _(operator: Sum) -> bool:
    return all(map(is_positive, operator.terms)) or _default(is_positive, operator)


@is_positive.register
def _(operator: Scale) -> bool:
    scalar = operator.scalar
    return (scalar.imag == 0 and scalar.real >= 0 and is_positive(operator.operator)) or _default(is_positive, operator)


@is_positive.register
def _(operator: Inverse) -> bool:
    return is_positive(operator.operator) or _default(is_positive, operator)


@is_self_adjoint.register
def _(operator: Block) -> bool:
    """Each block is the adjoint of its mirror image, with respect to the inner products of the parts."""
    rows, n = operator.rows, len(operator.rows)
    return (
        operator.domain == operator.codomain
        and all(is_self_adjoint(rows[i][i]) for i in range(n))
        and all(rows[j][i] == rows[i][j].H for i in range(n) for j in range(i))
    )


@is_isometry.register
def _(operator: Scale) -> bool:
    if (
        not operator.commutes
    ):  # in a real space of complex arrays, weights may treat real and imaginary parts differently
        return _default(is_isometry, operator)
    return abs(operator.scalar) == 1 and is_isometry(operator.operator)


@is_isometry.register
def _(operator: Compose) -> bool:
    return all(map(is_isometry, operator.factors)) or _default(is_isometry, operator)


@is_projection.register
def _(operator: Compose) -> bool:
    """Where the product is ``Q Q.H`` for an isometry Q, it projects onto Q's range."""
    for k in range(1, len(operator.factors)):
        left, right = _product(operator.factors[:k]), _product(operator.factors[k:])
        if right == left.H and is_isometry(left):
            return True
    return _default(is_projection, operator)


@is_projection.register
def _(operator: Sum) -> bool:
    """``I - P`` projects onto the complement."""
    if len(operator.terms) == 2:
        for one, other in (operator.terms, operator.terms[::-1]):
            if isinstance(one, Identity) and isinstance(other, Scale) and other.scalar == -1:
                return is_projection(other.operator)
    return _default(is_projection, operator)


def _of_all_parts(ask: Callable[[LinearOperator], bool]) -> Callable[[LinearOperator], bool]:
    """Return the answer for expressions of which it is true where it is true of all parts."""
    return lambda operator: all(map(ask, parts(operator))) or _default(ask, operator)


@is_diagonal.register
def _(operator: Compose) -> bool:
    return operator.domain == operator.codomain and all(
        isinstance(factor, Reweight) or is_diagonal(factor) for factor in operator.factors
    )


@is_diagonal.register
def _(operator: Riesz) -> bool:
    return has_diagonal_weights(operator.domain)


for _kind in (Scale, Sum, BlockDiagonal, Kron):
    is_diagonal.register(_kind, _of_all_parts(is_diagonal))
for _ask in (is_self_adjoint, is_positive, is_isometry, is_projection):
    _ask.register(BlockDiagonal, _of_all_parts(_ask))
    _ask.register(Kron, _of_all_parts(_ask))


# -- weights -----------------------------------------------------------------------------------------------------------


def _is_symmetric(operator: LinearOperator, claim: str, ask: Callable[[LinearOperator], bool]) -> bool:
    """Say whether ``R A`` is known to be self-adjoint, or positive, with respect to `Space.dot`."""
    space = operator.domain
    if space != operator.codomain:
        return False
    if claim in operator.claims and _commutes_with_weights(operator):
        return True
    weighed = compose(space.riesz, operator)
    if claim in weighed.claims:
        return True
    factors = weighed.factors if isinstance(weighed, Compose) else (weighed,)
    if len(factors) == 1 or factors[0].dual != factors[-1]:
        return False
    while len(factors) > 1 and factors[0].dual == factors[-1]:  # L* M L is symmetric as M is
        factors = factors[1:-1]
    if not factors:
        return True
    core = _product(factors)
    if len(factors) > 1:  # R M or M R^-1, on a weighted space in between
        first, last = factors[0], factors[-1]
        if isinstance(first, Riesz) and not first.inverted:
            return ask(_product(factors[1:]))
        if isinstance(last, Riesz) and last.inverted:
            return ask(_product(factors[:-1]))
    return claim in core.claims or (not core.domain.weighted and ask(core))


def _commutes_with_weights(operator: LinearOperator) -> bool:
    """Say whether a map from a space to itself is known to commute with the Riesz map."""
    space = operator.domain
    return weight_number(space) is not None or (is_diagonal(operator) and has_diagonal_weights(space))


def _product(factors: tuple[LinearOperator, ...]) -> LinearOperator:
    return factors[0] if len(factors) == 1 else Compose(*factors)


def _default(ask: Callable[[LinearOperator], bool], operator: LinearOperator) -> bool:
    """Return the answer that an operator of no known structure would get."""
    answer: Callable[[LinearOperator], bool] = ask.dispatch(LinearOperator)  # type: ignore[attr-defined]
    return answer(operator)
