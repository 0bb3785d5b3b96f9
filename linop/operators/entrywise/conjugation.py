"""Complex conjugation.

=========  ==========================================
map        ``x -> conj(x)``, in a real space of complex arrays
adjoint    ``C* = C``, for ``Re conj(conj(x)) y = Re conj(x) conj(y)``
matrix     diag(1, -1, 1, -1, ...), real and imaginary parts interleaved
=========  ==========================================
"""

from __future__ import annotations

from typing import final

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.spaces import Space
from linop.spaces.arrays_only import require_real_space_of_complex, resolve_codomain


@final
class Conjugation(LinearOperator):
    """The conjugates of complex entries. It is linear over the real numbers only, and its own inverse.

    Parameters
    ----------
    domain : Space
        A real space of complex arrays.
    codomain : Space, optional
        The same arrays, with other weights; the domain by default.

    Raises
    ------
    SpaceError
        When the domain is complex, or its arrays are real.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> C = Conjugation(Euclidean(2, complex, field="real"))
    >>> C(np.array([1 + 2j, 3 - 4j])).tolist()
    [(1-2j), (3+4j)]
    >>> C.H == C
    True
    """

    exact = True
    roundings = 0
    gain = 1.0

    @checked
    def __init__(self, domain: Space, codomain: Space | None = None) -> None:
        require_real_space_of_complex("Conjugation", domain)
        super().__init__(domain, resolve_codomain("Conjugation", domain, codomain, domain.shape))

    @property
    def claims(self) -> Claims:
        """Unitary; self-adjoint between equal spaces."""
        symmetric = {claims.SELF_ADJOINT} if self.domain == self.codomain else set()
        return claims.UNITARY | symmetric

    @property
    def dual(self) -> Conjugation:
        """Conjugation, the other way."""
        return Conjugation(self.codomain, self.domain)

    def _apply(self, x: Array) -> Array:
        # a copy, for some libraries conjugate by leaving a note on the same memory; a real array is a vector, too
        return arrays.copy(arrays.namespace(x).conj(x) if arrays.kind(x) == "complex" else x)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain)
