"""Arrays shifted along some axes, periodically.

=========  ==========================================
map        ``y_i = x_(i - s)``, indices modulo n
adjoint    the shift by -s
matrix     a permutation matrix, circulant
=========  ==========================================
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import final

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.axes import checked_axes
from linop.spaces import Space
from linop.spaces.arrays_only import resolve_codomain


@final
class Roll(LinearOperator):
    """The map ``numpy.roll(x, shift, axes)``: what leaves an axis at one end comes in at the other. Unitary.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    shift : int or sequence of int
        By how many entries: one number, or one for each axis.
    axes : int or sequence of int, optional
        Along which axes; all by default.
    codomain : Space, optional
        The same arrays, with other weights; the domain by default.

    Raises
    ------
    SpaceError
        When the domain has no such axes, a shift is no integer, or the codomain has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> Roll(Euclidean(3), 1)(np.array([1.0, 2.0, 3.0])).tolist()
    [3.0, 1.0, 2.0]
    """

    exact = True
    roundings = 0
    gain = 1.0

    @checked
    def __init__(
        self,
        domain: Space,
        shift: int | Sequence[int],
        axes: int | Sequence[int] | None = None,
        *,
        codomain: Space | None = None,
    ) -> None:
        along = checked_axes("Roll", domain, axes)
        try:
            shifts = [operator.index(shift)] * len(along)  # type: ignore[arg-type]
        except TypeError:
            try:
                shifts = [operator.index(number) for number in shift]  # type: ignore[union-attr]
            except TypeError:
                shifts = []
        if len(shifts) != len(along):
            raise SpaceError(f"Roll on {domain}: expected an integer, or one for each of axes {along}, found {shift!r}")
        extents = (domain.shape[axis] for axis in along)
        moves = {axis: s % n if n else 0 for axis, s, n in zip(along, shifts, extents, strict=True)}
        self.shifts = tuple(moves.get(axis, 0) for axis in range(domain.ndim))
        super().__init__(domain, resolve_codomain("Roll", domain, codomain, domain.shape))

    @property
    def claims(self) -> Claims:
        """Unitary; self-adjoint where it is a shift by half a period."""
        return claims.UNITARY | {claims.SELF_ADJOINT} if self.dual == self else claims.UNITARY

    @property
    def dual(self) -> Roll:
        """The shift the other way."""
        back = tuple(-shift for shift in self.shifts)
        return Roll(self.codomain, back, range(self.domain.ndim), codomain=self.domain)

    def _apply(self, x: Array) -> Array:
        batch = x.ndim - self.domain.ndim
        axes = tuple(range(batch, x.ndim))
        if not axes:
            return arrays.copy(x)
        return arrays.copy(arrays.namespace(x).roll(x, self.shifts, axis=axes))

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.shifts)

    def __str__(self) -> str:
        return f"Roll({', '.join(map(str, self.shifts))})"
