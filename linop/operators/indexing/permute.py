"""The axes of an array in another order.

=========  ==========================================
map        ``y[i_p(0), i_p(1), ...] = x[i_0, i_1, ...]`` for the axes p
adjoint    the inverse permutation of the axes
matrix     a permutation matrix
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
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.rewriting.engine import rule
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@final
class Permute(LinearOperator):
    """Axis k of the result is axis ``axes[k]`` of the argument, as in ``numpy.transpose(x, axes)``. Unitary.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    axes : sequence of int
        Each of the domain's axes once; negative ones count from the end.
    codomain : Space, optional
        A space of arrays of the permuted shape, with weights of its own. By default the domain where it has
        this shape, else without weights.

    Raises
    ------
    SpaceError
        When the axes are no permutation of the domain's, or the codomain has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> A = Permute(Euclidean((2, 3)), (1, 0))
    >>> A(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).tolist()
    [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    >>> A.H == Permute(A.codomain, (1, 0))
    True
    """

    exact = True
    roundings = 0
    gain = 1.0

    @checked
    def __init__(self, domain: Space, axes: Sequence[int], *, codomain: Space | None = None) -> None:
        require_arrays("Permute", domain)
        expected = SpaceError(f"Permute : {domain}: expected each of its {domain.ndim} axes once, found {axes!r}")
        try:
            given = [operator.index(axis) for axis in axes]
        except TypeError:
            raise expected from None
        self.axes = tuple(axis + domain.ndim if axis < 0 else axis for axis in given)
        if sorted(self.axes) != list(range(domain.ndim)):
            raise expected
        shape = tuple(domain.shape[axis] for axis in self.axes)
        super().__init__(domain, resolve_codomain(str(self), domain, codomain, shape))

    @property
    def claims(self) -> Claims:
        """Unitary; self-adjoint where the permutation is its own inverse."""
        return claims.UNITARY | {claims.SELF_ADJOINT} if self.dual == self else claims.UNITARY

    @property
    def dual(self) -> Permute:
        """The inverse permutation."""
        inverse = tuple(self.axes.index(axis) for axis in range(self.domain.ndim))
        return Permute(self.codomain, inverse, codomain=self.domain)

    def _apply(self, x: Array) -> Array:
        batch = x.ndim - self.domain.ndim
        axes = (*range(batch), *(batch + axis for axis in self.axes))
        return arrays.copy(arrays.namespace(x).permute_dims(x, axes))

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.axes)

    def __str__(self) -> str:
        return f"Permute({', '.join(map(str, self.axes))})"


@rule(Permute, Permute)
def permutations(left: Permute, right: Permute) -> LinearOperator:
    """Axes are permuted once."""
    axes = tuple(right.axes[k] for k in left.axes)
    if axes == tuple(range(len(axes))) and left.codomain == right.domain:
        return Identity(right.domain)
    return Permute(right.domain, axes, codomain=left.codomain)
