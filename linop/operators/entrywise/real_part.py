"""The real part.

=========  ==========================================
map        ``x -> Re x``, from a real space of complex arrays to real arrays
adjoint    ``y -> y + 0i``
matrix     the rows of the unit matrix that belong to real parts
=========  ==========================================
"""

from __future__ import annotations

from typing import final

from linop import arrays
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import COISOMETRY
from linop.core.operator import LinearOperator
from linop.spaces import Space
from linop.spaces.arrays_only import require_real_space_of_complex, resolve_codomain


@final
class RealPart(LinearOperator):
    """The real parts of complex entries. It is linear over the real numbers only.

    Parameters
    ----------
    domain : Space
        A real space of complex arrays.
    codomain : Space, optional
        A space of real arrays of the same shape; Euclidean by default.

    Raises
    ------
    SpaceError
        When the domain is complex, or its arrays are real.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> A = RealPart(Euclidean(2, complex, field="real"))
    >>> A(np.array([1 + 2j, 3 - 4j])).tolist()
    [1.0, 3.0]
    >>> A.H(np.array([1.0, 3.0])).tolist()
    [(1+0j), (3+0j)]
    """

    exact = True
    roundings = 0
    gain = 1.0
    claims = frozenset({COISOMETRY})  # A A* y = y

    @checked
    def __init__(self, domain: Space, codomain: Space | None = None) -> None:
        require_real_space_of_complex("RealPart", domain)
        super().__init__(domain, resolve_codomain("RealPart", domain, codomain, domain.shape, domain.coordinate_dtype))

    def _apply(self, x: Array) -> Array:
        # a real array is a vector here, too
        return arrays.copy(arrays.namespace(x).real(x) if arrays.kind(x) == "complex" else x)

    def _apply_dual(self, y: Array) -> Array:
        return arrays.complexified(y)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain)
