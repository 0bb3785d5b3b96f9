"""Arrays in the opposite order along some axes.

=========  ==========================================
map        ``y_i = x_(n - 1 - i)``
adjoint    the same
matrix     the unit matrix, its rows in the opposite order
=========  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.operators.axes import checked_axes
from linop.spaces import Space
from linop.spaces.arrays_only import resolve_codomain


@final
class Flip(LinearOperator):
    """The map ``x -> x[::-1]`` along some axes; its own inverse and adjoint.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    axes : int or sequence of int, optional
        Along which axes; all by default.
    codomain : Space, optional
        The same arrays, with other weights; the domain by default.

    Raises
    ------
    SpaceError
        When the domain has no such axes, or the codomain has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> Flip(Euclidean(3))(np.array([1.0, 2.0, 3.0])).tolist()
    [3.0, 2.0, 1.0]
    """

    exact = True
    roundings = 0
    gain = 1.0

    @checked
    def __init__(
        self, domain: Space, axes: int | Sequence[int] | None = None, *, codomain: Space | None = None
    ) -> None:
        self.axes = tuple(sorted(checked_axes("Flip", domain, axes)))
        super().__init__(domain, resolve_codomain("Flip", domain, codomain, domain.shape))

    @property
    def claims(self) -> Claims:
        """Unitary, and self-adjoint from a space to itself."""
        return claims.UNITARY | {claims.SELF_ADJOINT} if self.domain == self.codomain else claims.UNITARY

    @property
    def dual(self) -> Flip:
        """The same map, from the codomain to the domain."""
        return self if self.domain == self.codomain else Flip(self.codomain, self.axes, codomain=self.domain)

    def _apply(self, x: Array) -> Array:
        batch = x.ndim - self.domain.ndim
        return arrays.copy(arrays.namespace(x).flip(x, axis=tuple(batch + axis for axis in self.axes)))

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.axes)

    def __str__(self) -> str:
        return f"Flip({', '.join(map(str, self.axes))})"
