"""The inverse of an operator: from its structure where that is known, else by an iterative solution for each vector.

=================  ==========================================
map                ``x -> A^-1 x``
adjoint            ``(A^-1)* = (A*)^-1``
matrix             the inverse matrix
=================  ==========================================

`inverse` is a single-dispatch function: ``inverse.register(MyOperator)`` teaches it a structure. An operator that claims
to be unitary has its adjoint for an inverse.
"""

from __future__ import annotations

from functools import singledispatch
from typing import final

import numpy as np

from linop import arrays, claims
from linop.algebra.adjoint import Adjoint
from linop.algebra.compose import Compose, compose
from linop.algebra.scale import Scale, scale
from linop.arrays import Vector
from linop.claims import Claims
from linop.errors import SpaceError
from linop.operator import LinearOperator
from linop.operators.diagonal import Diagonal
from linop.operators.identity import Identity
from linop.operators.reweight import Reweight, reweight
from linop.operators.riesz import Riesz
from linop.operators.zero import Zero


@singledispatch
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
    return operator.dual if operator.claims >= claims.UNITARY else Inverse(operator)


@final
class Inverse(LinearOperator):
    """The inverse by conjugate gradients (of a positive operator) or LSQR (of any other); `inverse` makes it.

    Parameters
    ----------
    operator : LinearOperator
        What is inverted.
    tolerance : float, optional
        Of the residual, relative to the right-hand side; by default 100 roundings of the vector's precision.

    Raises
    ------
    ConvergenceError
        When it is applied, and the solver does not reach the tolerance.
    """

    def __init__(self, operator: LinearOperator, tolerance: float | None = None) -> None:
        super().__init__(operator.codomain, operator.domain)
        self.operator = operator
        self.tolerance = tolerance

    @property
    def claims(self) -> Claims:
        """The operator's."""
        return self.operator.claims & (claims.SYMMETRY | {claims.DIAGONAL})

    @property
    def dual(self) -> Inverse:
        """The inverse of the adjoint."""
        return Inverse(self.operator.dual, self.tolerance)

    def _apply(self, x: Vector) -> Vector:
        raise NotImplementedError

    def _key(self) -> tuple[object, ...]:
        return (self.operator, self.tolerance)

    def __str__(self) -> str:
        return f"({self.operator})^-1"


@inverse.register
def _(operator: Inverse) -> LinearOperator:
    return operator.operator


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
    return Riesz(operator.domain, inverted=not operator.inverted)


@inverse.register
def _(operator: Reweight) -> LinearOperator:
    return operator.dual


@inverse.register
def _(operator: Adjoint) -> LinearOperator:
    return inverse(operator.operator).dual


@inverse.register
def _(operator: Scale) -> LinearOperator:
    return compose(inverse(operator.operator), scale(1 / operator.scalar, Identity(operator.codomain)))


@inverse.register
def _(operator: Compose) -> LinearOperator:
    if any(factor.domain.size != factor.codomain.size for factor in operator.factors):
        return inverse.dispatch(LinearOperator)(operator)  # type: ignore[no-any-return]
    result = inverse(operator.factors[0])
    for factor in operator.factors[1:]:
        result = compose(inverse(factor), result)
    return result


@inverse.register
def _(operator: Diagonal) -> LinearOperator:
    if np.any(operator.entries == 0):
        raise SpaceError(f"{operator!r}: a diagonal with zeros has no inverse")
    return Diagonal(1 / operator.entries, operator.domain)
