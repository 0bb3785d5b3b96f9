"""A multiple of an operator.

=========  ==========================================
map        ``(c A) x = c (A x)``
adjoint    ``(c A)* = conj(c) A*``
matrix     c times the matrix
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import final

import numpy as np

from linop.algebra.sum import Sum
from linop.arrays import Array, Scalar
from linop.errors import SpaceError
from linop.operator import LinearOperator
from linop.operators.zero import Zero


@final
class Scale(LinearOperator):
    """A scalar times an operator; ``c * A`` makes it.

    Parameters
    ----------
    scalar : int, float or complex
        The factor. Complex only where the codomain is.
    operator : LinearOperator
        What is scaled.

    Raises
    ------
    SpaceError
        When the scalar is not finite, or complex where the codomain is real.
    """

    def __init__(self, scalar: Scalar, operator: LinearOperator) -> None:
        super().__init__(operator.domain, operator.codomain)
        self.scalar = complex(scalar) if isinstance(scalar, complex | np.complexfloating) else float(scalar)
        if not np.isfinite(self.scalar):
            raise SpaceError(f"{scalar} * ({operator!r}): the scalar must be finite")
        if isinstance(self.scalar, complex) and self.codomain.field == "real":
            raise SpaceError(f"{scalar} * ({operator!r}): a complex scalar needs a complex codomain")
        self.operator = operator

    @property
    def exact(self) -> bool:
        """Exact where the operator is and the scalar has few binary digits."""
        return self.operator.exact and all(_few_digits(part) for part in (self.scalar.real, self.scalar.imag))

    @property
    def roundings(self) -> int:
        """One more than the operator's."""
        return self.operator.roundings + 1

    @property
    def dual(self) -> LinearOperator:
        """The conjugate scalar times the adjoint."""
        return Scale(self.scalar.conjugate(), self.operator.dual)

    def _apply(self, x: Array) -> Array:
        return self.scalar * self.operator._apply(x)

    def _key(self) -> tuple[object, ...]:
        return (self.scalar, self.operator)

    def __str__(self) -> str:
        scalar = f"{self.scalar:g}"
        return f"{scalar} * ({self.operator})" if isinstance(self.operator, Sum) else f"{scalar} * {self.operator}"


def scale(scalar: Scalar, operator: LinearOperator) -> LinearOperator:
    """Return ``scalar * operator``: scalars merged, nothing where the scalar is one, zero where it is zero."""
    if isinstance(operator, Scale):
        return scale(scalar * operator.scalar, operator.operator)
    scaled = Scale(scalar, operator)  # raises where the scalar does not fit
    if scaled.scalar == 1:
        return operator
    if scaled.scalar == 0 or isinstance(operator, Zero):
        return Zero(operator.domain, operator.codomain)
    return scaled


def _few_digits(number: float) -> bool:
    """Say whether products of small integers with `number` stay exact: a small integer, or a power of two."""
    mantissa, exponent = math.frexp(abs(number))
    return (number.is_integer() and abs(number) <= 2**10) or (mantissa == 0.5 and abs(exponent) <= 10)
