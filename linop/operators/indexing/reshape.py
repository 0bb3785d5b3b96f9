"""The same entries, in row-major order, in an array of another shape.

=========  ==========================================
map        ``y.flat[k] = x.flat[k]``
adjoint    back to the shape of x
matrix     the unit matrix
=========  ==========================================
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import final

from linop import arrays
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import UNITARY
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.rewriting.engine import rule
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@final
class Reshape(LinearOperator):
    """The map ``x -> reshape(x, shape)``. Unitary. As every operator's, its result is a fresh array, never a view.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    shape : int or sequence of int
        As many entries as the domain's shape has. One -1 stands for what makes it so many.
    codomain : Space, optional
        A space of arrays of this shape, with weights of its own. By default the domain where it has
        this shape, else without weights.

    Raises
    ------
    SpaceError
        When the shape has another number of entries, -1 can not be told, or the codomain has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> A = Reshape(Euclidean((2, 3)), (3, -1))
    >>> A(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).tolist()
    [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    >>> A.H == Reshape(A.codomain, (2, 3))
    True
    """

    exact = True
    roundings = 0
    gain = 1.0
    claims = UNITARY

    @checked
    def __init__(self, domain: Space, shape: int | Sequence[int], *, codomain: Space | None = None) -> None:
        require_arrays("Reshape", domain)
        found = _resolved(domain, shape)
        super().__init__(domain, resolve_codomain(f"Reshape{found}", domain, codomain, found))

    @property
    def dual(self) -> Reshape:
        """Back to the other shape."""
        return Reshape(self.codomain, self.domain.shape, codomain=self.domain)

    def _apply(self, x: Array) -> Array:
        return arrays.namespace(x).reshape(arrays.copy(x), (*self.domain.batch(x), *self.codomain.shape))

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain)

    def __str__(self) -> str:
        return f"Reshape{self.codomain.shape}"


def _resolved(domain: Space, shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return a shape in which -1 is replaced; raise where it has not the entries of the domain."""
    size = math.prod(domain.shape)
    try:
        given = [operator.index(n) for n in (shape if isinstance(shape, Sequence) else (shape,))]
    except TypeError:
        raise SpaceError(f"Reshape : {domain}: expected a shape of integers, found {shape!r}") from None
    known = math.prod(n for n in given if n != -1)
    if given.count(-1) == 1 and known > 0:
        given[given.index(-1)] = size // known
    if min(given, default=0) < 0 or math.prod(given) != size:
        raise SpaceError(
            f"Reshape : {domain}: expected a shape of {size} entries, with one -1 at most, found {shape!r}"
        )
    return tuple(given)


@rule(Reshape, Reshape)
def reshapes(left: Reshape, right: Reshape) -> LinearOperator:
    """The last shape is what counts."""
    if left.codomain == right.domain:
        return Identity(right.domain)
    return Reshape(right.domain, left.codomain.shape, codomain=left.codomain)
