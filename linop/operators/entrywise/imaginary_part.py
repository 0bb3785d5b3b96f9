"""The imaginary part.

=========  ==========================================
map        ``x -> Im x``, from a real space of complex arrays to real arrays
adjoint    ``y -> i y``
matrix     the rows of the unit matrix that belong to imaginary parts
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
class ImaginaryPart(LinearOperator):
    """The imaginary parts of complex entries. It is linear over the real numbers only.

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
    >>> A = ImaginaryPart(Euclidean(2, complex, field="real"))
    >>> A(np.array([1 + 2j, 3 - 4j])).tolist()
    [2.0, -4.0]
    >>> A.H(np.array([2.0, -4.0])).imag.tolist()
    [2.0, -4.0]
    """

    exact = True
    roundings = 0
    gain = 1.0
    claims = frozenset({COISOMETRY})  # A A* y = y

    @checked
    def __init__(self, domain: Space, codomain: Space | None = None) -> None:
        require_real_space_of_complex("ImaginaryPart", domain)
        real = domain.coordinate_dtype
        super().__init__(domain, resolve_codomain("ImaginaryPart", domain, codomain, domain.shape, real))

    def _apply(self, x: Array) -> Array:
        if arrays.kind(x) == "real":  # a vector here, too
            return arrays.zeros(tuple(x.shape), like=x)
        return arrays.copy(arrays.namespace(x).imag(x))

    def _apply_dual(self, y: Array) -> Array:
        return 1j * arrays.complexified(y)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain)
