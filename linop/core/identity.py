"""The identity.

=========  ==========================================
map        ``I x = x``
adjoint    ``I* = I``
matrix     the unit matrix
=========  ==========================================
"""

from __future__ import annotations

from typing import final

from linop import claims
from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.spaces import Space


@final
class Identity(LinearOperator):
    """The identity of a space. Its result is a fresh copy, as every operator's is.

    Parameters
    ----------
    space : Space
        Domain and codomain.

    Examples
    --------
    >>> from linop import Euclidean
    >>> A = Identity(Euclidean(2))
    >>> A @ A == A
    True
    """

    _meets = True

    @checked
    def __init__(self, space: Space) -> None:
        super().__init__(space, space)

    @property
    def exact(self) -> bool:
        """Always."""
        return True

    @property
    def roundings(self) -> int:
        """None."""
        return 0

    @property
    def gain(self) -> float:
        """One."""
        return 1.0

    @property
    def claims(self) -> Claims:
        """Everything."""
        return claims.SYMMETRY | claims.UNITARY | {claims.IDEMPOTENT, claims.DIAGONAL}

    @property
    def dual(self) -> LinearOperator:
        """The identity itself."""
        return self

    def _apply(self, x: Vector) -> Vector:
        return self.domain.copy(x)

    def _key(self) -> tuple[object, ...]:
        return (self.domain,)
