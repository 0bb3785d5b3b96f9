"""The adjoint of an operator, as an operator.

=========  ==========================================
map        ``A* : Y -> X``, ``dot(A x, y) == dot(x, A* y)``
adjoint    ``A** = A``
matrix     the conjugate transpose of A's
=========  ==========================================
"""

from __future__ import annotations

from typing import final

from linop import claims
from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.expression import Expression, Steps, derived
from linop.core.operator import LinearOperator
from linop.writing import Pieces


@final
class Adjoint(Expression):
    """The adjoint of `operator` with respect to `Space.dot`, made by ``A.dual``, and by ``A.H`` without weights.

    Parameters
    ----------
    operator : LinearOperator
        The operator whose two methods change places.

    Examples
    --------
    >>> from linop import Matrix, matrix
    >>> A = Matrix([[1.0, 2.0], [0.0, 3.0]])
    >>> print(A.H, isinstance(A.H, Adjoint), A.H.H == A)
    Matrix(2x2).H True True
    >>> matrix(A.H).tolist()
    [[1.0, 0.0], [2.0, 3.0]]
    """

    @checked
    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.codomain, operator.domain)
        self.operator = operator
        self._levels = operator._levels + 1

    @property
    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.operator,)

    @derived
    def exact(self) -> bool:
        """Exact where the operator is."""
        return self.operator.exact

    @derived
    def roundings(self) -> int:
        """As many as the operator's."""
        return self.operator.roundings

    @derived
    def gain(self) -> float | None:
        """The operator's."""
        return self.operator.gain

    @derived
    def claims(self) -> Claims:
        """The operator's, isometry and coisometry exchanged."""
        return claims.mirrored(self.operator.claims)

    @property
    def dual(self) -> LinearOperator:
        """The operator itself."""
        return self.operator

    def _steps(self, x: Vector) -> Steps:
        if isinstance(self.operator, Expression):
            return (yield self.operator.dual, x)
        return self.operator._apply_dual(x)

    def _apply(self, x: Vector) -> Vector:
        return self.operator._apply_dual(x)

    def _apply_dual(self, y: Vector) -> Vector:
        return self.operator._apply(y)

    def _key(self) -> tuple[object, ...]:
        return (self.operator,)

    def _pieces(self) -> Pieces:
        weighted = self.domain.weighted or self.codomain.weighted
        return self.operator, f".{'dual' if weighted else 'H'}"
