"""The inverse of an operator: from its structure where that is known, else by an iterative solution for each vector.

=================  ==========================================
map                ``x -> A^-1 x``
adjoint            ``(A^-1)* = (A*)^-1``
matrix             the inverse matrix
=================  ==========================================

`inverse` is a single-dispatch function: ``inverse.register(MyOperator)`` teaches it a structure. An operator that
claims to be unitary has its adjoint for an inverse.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np

from linop import arrays, claims
from linop.arguments import Nonnegative, checked
from linop.arrays import Vector
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.claims import Claims
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose, compose
from linop.core.expression import Expression, derived
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.reweight import Reweight, reweight
from linop.core.riesz import Riesz
from linop.core.scale import Scale, scale
from linop.core.zero import Zero
from linop.errors import ConvergenceError, SpaceError
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.matrices.matrix import Matrix
from linop.operators.spectral.circulant import Circulant
from linop.operators.spectral.fft import FFT
from linop.operators.stencils.finite_difference import FiniteDifference
from linop.operators.sums.cumulative_sum import CumulativeSum
from linop.query import Answer, Pieces, query


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
    return operator.dual if operator.claims >= claims.UNITARY else Inverse(operator)


@final
class Inverse(Expression):
    """The inverse by conjugate gradients (of a positive operator) or LSQR (of any other); `inverse` makes it.

    Parameters
    ----------
    operator : LinearOperator
        What is inverted.
    positive : bool, optional
        Whether it is self-adjoint and positive with respect to `Space.dot`; what it claims by default.
    tolerance : float, optional
        Of the residual, relative to the right-hand side; by default 100 times the precision of the vector.

    Raises
    ------
    ConvergenceError
        When it is applied, and the solver does not reach the tolerance.

    Examples
    --------
    >>> from linop import Correlation, Euclidean, Identity
    >>> X = Euclidean(3)
    >>> A = 2 * Identity(X) + Correlation(X, [1, 0, 1], padding="same")
    >>> print(inverse(A))
    (2 * Identity + Correlation(3))^-1
    >>> inverse(A)(A(np.array([1.0, 2.0, 3.0]))).round(6).tolist()
    [1.0, 2.0, 3.0]
    """

    @checked
    def __init__(
        self, operator: LinearOperator, *, positive: bool | None = None, tolerance: Nonnegative | None = None
    ) -> None:
        super().__init__(operator.codomain, operator.domain)
        self.operator = operator
        self.positive = claims.POSITIVE in operator.claims if positive is None else positive
        self.tolerance = tolerance

    @property
    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.operator,)

    @derived
    def roundings(self) -> int:
        """As if the condition number were a thousand: nobody knows it."""
        return 10**6 * max(self.operator.roundings, self.domain.size)

    @derived
    def claims(self) -> Claims:
        """The symmetry of the operator."""
        kept = self.operator.claims & (claims.SYMMETRY | {claims.DIAGONAL})
        return kept | claims.SYMMETRY if self.positive else kept

    @derived
    def dual(self) -> Inverse:
        """The inverse of the adjoint."""
        return self if self.positive else Inverse(self.operator.dual, positive=False, tolerance=self.tolerance)

    def _apply(self, x: Vector) -> Vector:
        """Return the solution for one right-hand side, or for all of a batch at once.

        Claims are about `Space.dot`: weights are left aside.
        """
        from linop.solve import cg, lsqr

        batch = self.domain.batch(x)
        if 0 in batch:
            return self.codomain.zeros(batch, like=x)
        A = reweight(self.operator, self.operator.domain.unweighted, self.operator.codomain.unweighted)
        tolerance = 100 * arrays.precision(x) if self.tolerance is None else self.tolerance
        result = (cg if self.positive else lsqr)(A, x, tolerance=tolerance, iterations=20 * A.domain.size + 100)
        sizes, residuals = A.codomain.norm(x), A.codomain.norm(arrays.axpy(-1, A(result.x), x))
        solved = residuals <= 10 * tolerance * np.asarray(sizes)
        if not np.all(solved):
            k = np.unravel_index(np.argmin(solved), batch)
            which = f" of right-hand side {tuple(map(int, k))}" if batch else ""
            size, residual = (np.asarray(numbers)[k] for numbers in (sizes, residuals))
            raise ConvergenceError(
                f"{self!r}: after {result.iterations} iterations, the residual{which} is {residual:.1e} and not "
                f"{tolerance:.1e} of the right-hand side's norm, {size:.1e}: {result.reason}"
            )
        return result.x

    def _key(self) -> tuple[object, ...]:
        return (self.operator, self.positive, self.tolerance)

    def _pieces(self) -> Pieces:
        return ("(", self.operator, ")^-1")


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
def _(operator: Adjoint) -> Answer[LinearOperator]:
    return (yield operator.operator).dual


@inverse.register
def _(operator: Scale) -> Answer[LinearOperator]:
    inside = yield operator.operator
    reciprocal = 1 / operator.scalar
    if not math.isfinite(abs(reciprocal)) or abs(reciprocal) < np.finfo(float).smallest_normal:  # not the inverse
        return Inverse(operator)
    return compose(inside, scale(reciprocal, Identity(operator.codomain)))


@inverse.register
def _(operator: Compose) -> Answer[LinearOperator]:
    if any(factor.domain.size != factor.codomain.size for factor in operator.factors):
        return _unknown(operator)
    result = yield operator.factors[0]
    for factor in operator.factors[1:]:
        result = compose((yield factor), result)
    return result


@inverse.register
def _(operator: Diagonal) -> LinearOperator:
    if np.any(operator.entries == 0):
        raise SpaceError(f"{operator!r}: a diagonal with zeros has no inverse")
    with np.errstate(over="ignore"):
        entries = 1 / operator.entries
    return Diagonal(entries, operator.domain) if np.all(np.isfinite(entries)) else _unknown(operator)


@inverse.register
def _(operator: Matrix) -> LinearOperator:
    if operator.domain.size != operator.codomain.size:
        return _unknown(operator)  # raises
    try:
        entries = np.linalg.inv(operator.entries)
    except np.linalg.LinAlgError:
        raise SpaceError(f"{operator!r}: a singular matrix has no inverse") from None
    return Matrix(entries, operator.codomain, operator.domain)


@inverse.register
def _(operator: BlockDiagonal | Kron) -> Answer[LinearOperator]:
    if isinstance(operator, Kron) and any(A.domain.size != A.codomain.size for A in operator.operators):
        return _unknown(operator)
    inside = []
    for A in operator.operators:
        inverted = yield A
        inside.append(inverted)
    return type(operator)(*inside)


@inverse.register
def _(operator: FFT | Circulant) -> LinearOperator:
    return operator.inverted()


@inverse.register
def _(operator: CumulativeSum) -> LinearOperator:
    return FiniteDifference(operator.domain, axis=operator.axis, scheme="backward", boundary="zero")


def _unknown(operator: LinearOperator) -> LinearOperator:
    """Return the inverse of an operator of no known structure."""
    answer: LinearOperator = inverse.dispatch(LinearOperator)(operator)
    return answer
