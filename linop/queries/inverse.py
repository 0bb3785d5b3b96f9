"""The inverse of an operator: from its structure where that is known, else by an iterative solution for each vector.

`inverse` is a single-dispatch function: ``inverse.register(MyOperator)`` teaches it a structure. An operator that
claims to be unitary has its adjoint for an inverse.
"""

from __future__ import annotations

import math

import numpy as np

from linop import claims, upward
from linop.arguments import checked
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose, compose
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.reweight import Reweight
from linop.core.riesz import Riesz
from linop.core.scale import Scale, scale
from linop.core.zero import Zero
from linop.errors import SpaceError
from linop.query import Answer, query


@checked
@query
def inverse(operator: LinearOperator) -> LinearOperator:
    """Return the inverse of an operator, without computing anything that is not needed.

    Parameters
    ----------
    operator : LinearOperator
        A map between spaces of the same size.

    Returns
    -------
    LinearOperator
        From the codomain to the domain. Where no structure is known, an `Inverse`, which solves iteratively whenever it
        is applied, and raises where that does not converge.

    Raises
    ------
    SpaceError
        When the two spaces have different sizes, or the operator is seen to be singular.

    Examples
    --------
    >>> from linop import Diagonal
    >>> inverse(2 * Diagonal([1.0, 4.0]))(np.ones(2)).tolist()
    [0.5, 0.125]
    """
    if operator.domain.size != operator.codomain.size:
        raise SpaceError(f"{operator!r}: an operator between spaces of different sizes has no inverse")
    if operator.claims >= claims.UNITARY:
        return operator.dual
    inverted: LinearOperator = upward.iterative(operator)
    return inverted


@inverse.register
def _(operator: Identity) -> LinearOperator:
    return operator


@inverse.register
def _(operator: Zero) -> LinearOperator:
    if operator.domain.size or operator.codomain.size:
        raise SpaceError(f"{operator!r}: the zero operator has no inverse")
    return operator.dual


@inverse.register
def _(operator: Riesz) -> LinearOperator:
    return Riesz(operator.domain, inverse=not operator.inverse)


@inverse.register
def _(operator: Reweight) -> LinearOperator:
    return operator.dual


@inverse.register
def _(operator: Adjoint) -> Answer[LinearOperator]:
    return (yield operator.operator).dual


@inverse.register
def _(operator: Scale) -> Answer[LinearOperator]:
    inside = yield operator.operator
    reciprocal = 1 / operator.scalar
    if not math.isfinite(abs(reciprocal)) or abs(reciprocal) < np.finfo(float).smallest_normal:  # not the inverse
        return unknown_inverse(operator)
    return compose(inside, scale(reciprocal, Identity(operator.codomain)))


@inverse.register
def _(operator: Compose) -> Answer[LinearOperator]:
    if any(factor.domain.size != factor.codomain.size for factor in operator.factors):
        return unknown_inverse(operator)
    result = yield operator.factors[0]
    for factor in operator.factors[1:]:
        result = compose((yield factor), result)
    return result


def unknown_inverse(operator: LinearOperator) -> LinearOperator:
    """Return the inverse that an operator without a known structure gets; a registered function may fall back to it."""
    answer: LinearOperator = inverse.dispatch(LinearOperator)(operator)
    return answer


@upward.inverse.register
def _(operator: LinearOperator) -> LinearOperator:
    return inverse(operator)
