"""The zero operator.

=========  ==========================================
map        ``0 x = 0``
adjoint    ``0* y = 0``
matrix     zeros
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
class Zero(LinearOperator):
    """The map that sends every vector to zero.

    Parameters
    ----------
    domain, codomain : Space
        Any two spaces.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> Zero(Euclidean(2), Euclidean(3))(np.ones(2)).tolist()
    [0.0, 0.0, 0.0]
    """

    exact = True
    roundings = 0
    gain = 0.0

    _meets = True

    @checked
    def __init__(self, domain: Space, codomain: Space) -> None:
        super().__init__(domain, codomain)

    @property
    def claims(self) -> Claims:
        """To be a projection, where it maps a space to itself."""
        if self.domain != self.codomain:
            return claims.NONE
        return claims.SYMMETRY | {claims.IDEMPOTENT, claims.DIAGONAL}

    @property
    def dual(self) -> LinearOperator:
        """Zero the other way."""
        return Zero(self.codomain, self.domain)

    def _apply(self, x: Vector) -> Vector:
        return self.codomain.zeros(self.domain.batch(x), like=x)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain)
