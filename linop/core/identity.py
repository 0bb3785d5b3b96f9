"""The identity.

=========  ==========================================
map        ``I x = x``
adjoint    ``I* = I``
matrix     the unit matrix
=========  ==========================================
"""

from __future__ import annotations

from typing import final

from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import DIAGONAL, IDEMPOTENT, SYMMETRY, UNITARY
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

    exact = True
    roundings = 0
    gain = 1.0
    claims = SYMMETRY | UNITARY | {IDEMPOTENT, DIAGONAL}

    _meets = True

    @checked
    def __init__(self, space: Space) -> None:
        super().__init__(space, space)

    @property
    def dual(self) -> LinearOperator:
        """The identity itself."""
        return self

    def _apply(self, x: Vector) -> Vector:
        return self.domain.copy(x)

    def _key(self) -> tuple[object, ...]:
        return (self.domain,)
