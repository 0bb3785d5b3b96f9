"""A multiple of an operator.

=========  ==========================================
map        ``(c A) x = c (A x)``
adjoint    ``(c A)* y = A* (conj(c) y)``: conj(c) A* where A is linear over the scalars
matrix     c times the matrix
=========  ==========================================
"""

from __future__ import annotations

from typing import final

import numpy as np

from linop import arrays, claims, core
from linop.arguments import checked
from linop.arrays import Scalar, Vector
from linop.claims import Claims
from linop.core.expression import SHALLOW, Expression, Steps, applied, derived
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.sum import Sum
from linop.core.zero import Zero
from linop.errors import SpaceError
from linop.numbers import gain_of, is_moderate, product
from linop.writing import Pieces


@final
class Scale(Expression):
    """A scalar times an operator; ``c * A`` makes it. The smaller one of argument and result is multiplied.

    Parameters
    ----------
    scalar : int, float or complex
        The factor. Complex only where the arrays of the codomain are.
    operator : LinearOperator
        What is scaled. Of a real space of complex arrays, only the identity is multiplied by a complex number: ``c *
        A`` is ``(c I) A`` there, for A and c need not commute.

    Raises
    ------
    SpaceError
        When the scalar is not finite, or complex where the codomain is real.
    AgreementError
        When processes that share the spaces pass different scalars.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean, Identity
    >>> A = Scale(3.0, Identity(Euclidean(2)))
    >>> A == 3.0 * Identity(Euclidean(2)), A(np.ones(2)).tolist()
    (True, [3.0, 3.0])
    """

    _meets = True

    @checked
    def __init__(self, scalar: Scalar, operator: LinearOperator) -> None:
        operator._agree("Scale", scalar)
        self._build(scalar, operator)

    def _build(self, scalar: Scalar, operator: LinearOperator) -> None:
        """Fill in everything, without communication; raise where the scalar does not fit."""
        super().__init__(operator.domain, operator.codomain)
        self.scalar = complex(scalar) if isinstance(scalar, complex | np.complexfloating) else float(scalar)
        if not np.isfinite(self.scalar):
            raise SpaceError(f"{scalar} * ({operator!r}): the scalar must be finite")
        if isinstance(self.scalar, complex) and self.codomain.dtype.kind != "c":
            raise SpaceError(f"{scalar} * ({operator!r}): a complex scalar needs a codomain of complex arrays")
        self.operator = operator
        if not self.commutes and not isinstance(operator, Identity):
            raise SpaceError(
                f"{scalar} * ({operator!r}): in a real space of complex arrays, only the identity is multiplied by a "
                f"complex number; compose with that"
            )
        self._levels = operator._levels + 1
        smaller = self.domain.size < self.codomain.size
        self._first = smaller and self.commutes and is_moderate(self.scalar, self.codomain)

    @property
    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.operator,)

    @property
    def commutes(self) -> bool:
        """Whether every operator commutes with the scalar."""
        return isinstance(self.scalar, float) or self.codomain.field == "complex"

    @derived
    def exact(self) -> bool:
        """Exact where the operator is and the scalar has few binary digits."""
        return self.operator.exact and arrays.has_few_digits(np.asarray(self.scalar))

    @derived
    def roundings(self) -> int:
        """One more than the operator's."""
        return self.operator.roundings + 1

    @derived
    def gain(self) -> float | None:
        """The operator's, as often as the scalar says."""
        return gain_of([float(np.abs(self.scalar)), self.operator.gain])

    @derived
    def claims(self) -> Claims:
        """What the scalar leaves of the operator's."""
        kept = {claims.DIAGONAL}
        if isinstance(self.scalar, float):
            kept |= claims.SYMMETRY if self.scalar >= 0 else {claims.SELF_ADJOINT}
        if abs(self.scalar) == 1:
            kept |= claims.UNITARY
        return self.operator.claims & kept

    @derived
    def dual(self) -> LinearOperator:
        """The conjugate scalar times the adjoint."""
        return scale(self.scalar.conjugate(), self.operator.dual)

    def _apply(self, x: Vector) -> Vector:
        if self._levels > SHALLOW:
            return applied(self, x)
        if self._first:
            return self.operator._apply(arrays.scale(self.scalar, x))
        return arrays.scale(self.scalar, self.operator._apply(x))

    def _steps(self, x: Vector) -> Steps:
        if self._first:
            return (yield self.operator, arrays.scale(self.scalar, x))
        return arrays.scale(self.scalar, (yield self.operator, x))

    def _met(self, right: LinearOperator) -> LinearOperator | None:
        """Return one number for two that stay in a product, where it neither over- nor underflows."""
        if self.commutes or not isinstance(right, Scale) or product(self.scalar, right.scalar, self.codomain) is None:
            return None
        return scale(self.scalar, right)

    def _key(self) -> tuple[object, ...]:
        return (self.scalar, self.operator)

    def _pieces(self) -> Pieces:
        scalar = "-" if self.scalar == -1 else f"{self.scalar:g} * "
        return (scalar, "(", self.operator, ")") if isinstance(self.operator, Sum) else (scalar, self.operator)


def scale(scalar: Scalar, operator: LinearOperator) -> LinearOperator:
    """Return ``scalar * operator``: scalars merged, nothing where the scalar is one, zero where it is zero.

    Scalars whose product would over- or underflow stay apart. No communication: for a scalar that all processes are
    known to have.
    """
    space = operator.codomain
    if isinstance(operator, Scale):
        merged = product(scalar, operator.scalar, space)
        if merged is not None:
            return scale(merged, operator.operator)
    turns = isinstance(scalar, complex | np.complexfloating) and space.field == "real" and space.dtype.kind == "c"
    if turns and not isinstance(operator, Identity):
        return core.compose.compose(_scaled(scalar, Identity(space)), operator)
    scaled = _scaled(scalar, operator)
    if scaled.scalar == 1:
        return operator
    if scaled.scalar == 0 or isinstance(operator, Zero):
        return Zero(operator.domain, operator.codomain)
    return scaled


def _scaled(scalar: Scalar, operator: LinearOperator) -> Scale:
    """Return a multiple as it is, without communication; raise where the scalar does not fit."""
    scaled = object.__new__(Scale)
    scaled._build(scalar, operator)
    return scaled
