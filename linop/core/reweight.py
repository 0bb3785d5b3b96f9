"""The same vector, in a space with another inner product.

=========  ==========================================
map        ``x -> x``, from X to Y
adjoint    ``A* y = y``; with respect to the inner products, ``A.H = R_X^-1 R_Y``
matrix     the unit matrix
=========  ==========================================
"""

from __future__ import annotations

from typing import final

from linop import arrays
from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import UNITARY
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.spaces import Space


@final
class Reweight(LinearOperator):
    """The identity on coordinates between two spaces that differ in their weights.

    It brings an operator to weighted spaces: ``Reweight(Y, Yw) @ A @ Reweight(Xw, X)``; see `reweight`.

    Parameters
    ----------
    domain, codomain : Space
        Two spaces with the same ``unweighted`` one.

    Raises
    ------
    SpaceError
        When they have other vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean, Weighted
    >>> X = Euclidean(2)
    >>> A = Reweight(X, Weighted(X, [1.0, 4.0]))
    >>> A(np.ones(2)).tolist(), A.H(np.ones(2)).tolist()
    ([1.0, 1.0], [1.0, 4.0])
    """

    exact = True
    roundings = 0
    gain = 1.0
    claims = UNITARY

    _meets = True

    @checked
    def __init__(self, domain: Space, codomain: Space) -> None:
        if domain.unweighted != codomain.unweighted:
            raise SpaceError(f"Reweight : {domain} -> {codomain}: the two spaces must have the same vectors")
        super().__init__(domain, codomain)

    @property
    def dual(self) -> Reweight:
        """The same, the other way."""
        return Reweight(self.codomain, self.domain)

    def _apply(self, x: Vector) -> Vector:
        return arrays.copy(x)

    def _met(self, right: LinearOperator) -> LinearOperator | None:
        """Return one change of weights for two."""
        if not isinstance(right, Reweight):
            return None
        same = self.codomain == right.domain
        return Identity(self.codomain) if same else Reweight(right.domain, self.codomain)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain)


@checked
def reweight(operator: LinearOperator, domain: Space, codomain: Space) -> LinearOperator:
    """Return the same map of coordinates between spaces with other weights; its ``H`` follows theirs.

    Parameters
    ----------
    operator : LinearOperator
        Any operator.
    domain, codomain : Space
        Spaces that differ from the operator's in their weights.

    Examples
    --------
    >>> from linop import Euclidean, Matrix, Weighted, matrix
    >>> X = Weighted(Euclidean(2), [1.0, 4.0])
    >>> A = reweight(Matrix([[0.0, 1.0], [0.0, 0.0]]), X, X)
    >>> matrix(A.H).tolist()
    [[0.0, 0.0], [0.25, 0.0]]
    """
    there = operator if operator.domain == domain else operator @ Reweight(domain, operator.domain)
    return there if codomain == operator.codomain else Reweight(operator.codomain, codomain) @ there
