"""The Riesz map of a weighted space, and its inverse.

=========  ==========================================
map        ``x -> R x``, with ``inner(x, y) = dot(x, R y)``
adjoint    ``R* = R``
matrix     the weights: a mass matrix, a diagonal
=========  ==========================================
"""

from __future__ import annotations

from typing import final

import numpy as np

from linop import claims, upward
from linop.arguments import checked, renamed
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.spaces import Product, Space, Weighted


@final
class Riesz(LinearOperator):
    """The map R of a space, or its inverse. ``X.riesz`` and ``X.riesz_inverse`` make it.

    Parameters
    ----------
    space : Space
        Domain and codomain.
    inverse : bool, optional
        Whether this is the inverse.

    Examples
    --------
    >>> from linop import Euclidean, Weighted
    >>> X = Weighted(Euclidean(2), [1.0, 4.0])
    >>> X.riesz(np.ones(2)).tolist(), X.riesz_inverse(np.ones(2)).tolist()
    ([1.0, 4.0], [1.0, 0.25])
    >>> X.riesz_inverse @ X.riesz
    Identity : Weighted(Euclidean((2,), float64), [1.0, 4.0]) -> Weighted(Euclidean((2,), float64), [1.0, 4.0])
    """

    _meets = True

    @renamed(inverted="inverse")
    @checked
    def __init__(self, space: Space, *, inverse: bool = False) -> None:
        super().__init__(space, space)
        self.inverse = inverse

    @property
    def exact(self) -> bool:
        """Exact where the weights are powers of two."""
        return _powers_of_two(self.domain)

    @property
    def roundings(self) -> int:
        """One, of numbers and arrays; those of an operator or its inverse."""
        return _roundings(self.domain, self.inverse)

    @property
    def claims(self) -> Claims:
        """Self-adjoint and positive; diagonal, where the weights are numbers and arrays."""
        return claims.SYMMETRY | {claims.DIAGONAL} if _is_diagonal(self.domain) else claims.SYMMETRY

    @property
    def dual(self) -> Riesz:
        """The map itself."""
        return self

    def _apply(self, x: Vector) -> Vector:
        return self.domain._unweigh(x) if self.inverse else self.domain._weigh(x)

    def _met(self, right: LinearOperator) -> LinearOperator | None:
        """Return the identity where the map meets its inverse."""
        undone = isinstance(right, Riesz) and right.inverse != self.inverse and right.domain == self.domain
        return Identity(self.domain) if undone else None

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.inverse)

    def __str__(self) -> str:
        return "Riesz^-1" if self.inverse else "Riesz"


@upward.riesz.register
def riesz(space: Space, *, inverse: bool = False) -> LinearOperator:
    """Return the Riesz map of a space or its inverse; the identity where there are no weights."""
    return Riesz(space, inverse=inverse) if space.weighted else Identity(space)


def _powers_of_two(space: Space) -> bool:
    """Say whether all weights are powers of two of moderate size."""
    if isinstance(space, Product):
        return all(map(_powers_of_two, space.parts))
    if not isinstance(space, Weighted):
        return True
    if isinstance(space.weight, LinearOperator):
        return False
    mantissa, exponent = np.frexp(space.weight)
    return bool(np.all(mantissa == 0.5) and np.all(np.abs(exponent) <= 10))


def _is_diagonal(space: Space) -> bool:
    """Say whether the weights are numbers or arrays."""
    if isinstance(space, Product):
        return all(map(_is_diagonal, space.parts))
    return not isinstance(space, Weighted) or not isinstance(space.weight, LinearOperator)


def _roundings(space: Space, inverse: bool) -> int:
    """Return how many roundings the weights take."""
    if isinstance(space, Product):
        return max(_roundings(part, inverse) for part in space.parts)
    if not isinstance(space, Weighted):
        return 0
    if not isinstance(space.weight, LinearOperator):
        return 1
    return space.inverse_weight.roundings if inverse else space.weight.roundings
