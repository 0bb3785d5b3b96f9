"""The composition of operators.

=========  ==========================================
map        ``(A B) x = A (B x)``
adjoint    ``(A B)* = B* A*``
matrix     the product of the matrices
=========  ==========================================
"""

from __future__ import annotations

import itertools
from typing import final

from linop.algebra.scale import Scale, scale
from linop.algebra.sum import Sum
from linop.arrays import Array
from linop.errors import SpaceError
from linop.operator import LinearOperator
from linop.operators.identity import Identity
from linop.operators.zero import Zero


@final
class Compose(LinearOperator):
    """The product of two or more operators; ``A @ B`` makes it.

    Parameters
    ----------
    *factors : LinearOperator
        As written: the last one is applied first.

    Raises
    ------
    SpaceError
        When a factor's domain is not the codomain of the factor after it.
    """

    def __init__(self, *factors: LinearOperator) -> None:
        for left, right in itertools.pairwise(factors):
            if left.domain != right.codomain:
                raise SpaceError(
                    f"cannot compose {left} @ {right}: {left} takes vectors of {left.domain}, "
                    f"{right} gives vectors of {right.codomain}"
                )
        super().__init__(factors[-1].domain, factors[0].codomain)
        self.factors = factors

    @property
    def exact(self) -> bool:
        """Exact where every factor is."""
        return all(factor.exact for factor in self.factors)

    @property
    def roundings(self) -> int:
        """The sum over the factors."""
        return sum(factor.roundings for factor in self.factors)

    @property
    def dual(self) -> LinearOperator:
        """The adjoints in reverse order."""
        return Compose(*(factor.dual for factor in reversed(self.factors)))

    def _apply(self, x: Array) -> Array:
        for factor in reversed(self.factors):
            x = factor._apply(x)
        return x

    def _key(self) -> tuple[object, ...]:
        return self.factors

    def __str__(self) -> str:
        return " @ ".join(f"({f})" if isinstance(f, Sum | Scale) else str(f) for f in self.factors)


def compose(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """Return ``left @ right``: flat, without identities, a scalar on the left in front, zero where a factor is."""
    product = Compose(left, right)  # raises where the spaces do not meet
    if isinstance(left, Identity):
        return right
    if isinstance(right, Identity):
        return left
    if isinstance(left, Zero) or isinstance(right, Zero):
        return Zero(right.domain, left.codomain)
    if isinstance(left, Scale):
        return scale(left.scalar, compose(left.operator, right))
    factors = [f for side in product.factors for f in (side.factors if isinstance(side, Compose) else (side,))]
    return Compose(*factors)


def power(operator: LinearOperator, exponent: int) -> LinearOperator:
    """Return the product of `exponent` times the operator with itself.

    Raises
    ------
    SpaceError
        When the operator does not map a space to itself.
    ValueError
        When the exponent is negative.
    """
    if operator.domain != operator.codomain:
        raise SpaceError(f"{operator!r}: a power needs a map from a space to itself")
    if exponent < 0:
        raise ValueError(f"{operator!r}: a power needs an exponent of zero or more, found {exponent}")
    result: LinearOperator = Identity(operator.domain)
    for _ in range(exponent):
        result = compose(operator, result)
    return result
