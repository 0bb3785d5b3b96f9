"""The inverse of an operator without a known structure: an iterative solution for each vector.

=================  ==========================================
map                ``x -> A^-1 x``
adjoint            ``(A^-1)* = (A*)^-1``
matrix             the inverse matrix
=================  ==========================================
"""

from __future__ import annotations

from typing import Any, final

import numpy as np

from linop import arrays, claims, upward
from linop.arguments import Nonnegative, checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.expression import Expression, derived
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.reweight import reweight
from linop.errors import ConvergenceError
from linop.queries.cost import Cost, addition, cost
from linop.queries.inverse import inverse
from linop.query import Answer
from linop.rewriting.engine import rebuild, rule
from linop.solve.krylov.cg import cg
from linop.solve.krylov.lsqr import lsqr
from linop.writing import Pieces


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


@upward.iterative.register
def _(operator: LinearOperator) -> LinearOperator:
    return Inverse(operator)


@upward.inverse_weight.register
def _(weight: LinearOperator) -> LinearOperator:
    inverted = inverse(weight)  # positive, whether the operator claims so or not
    return Inverse(weight, positive=True) if isinstance(inverted, Inverse) else inverted


@cost.register
def _(operator: Inverse) -> Answer[Cost]:
    """Count one step for each coordinate, enough without rounding: A, A* and ten vector operations."""
    step = 2 * (yield operator.operator) + 10 * addition(operator.domain)
    return max(operator.domain.size, 1) * step


@inverse.register
def _(operator: Inverse) -> LinearOperator:
    return operator.operator


@rule(Inverse, LinearOperator)
def inverse_before(left: Inverse, right: LinearOperator) -> LinearOperator | None:
    """``A^-1 A = I``."""
    return Identity(right.domain) if left.operator == right else None


@rule(LinearOperator, Inverse)
def inverse_after(left: LinearOperator, right: Inverse) -> LinearOperator | None:
    """``A A^-1 = I``."""
    return Identity(left.codomain) if right.operator == left else None


@rebuild.register
def _(operator: Inverse, inside: tuple[Any, ...]) -> LinearOperator:
    inverted = inverse(inside[0])
    if isinstance(inverted, Inverse):
        return Inverse(inside[0], positive=operator.positive, tolerance=operator.tolerance)
    return inverted
