"""The sum of operators.

=========  ==========================================
map        ``(A + B) x = A x + B x``
adjoint    ``(A + B)* = A* + B*``
matrix     the sum of the matrices
=========  ==========================================
"""

from __future__ import annotations

from typing import final

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.errors import SpaceError
from linop.operator import LinearOperator
from linop.operators.zero import Zero


@final
class Sum(LinearOperator):
    """The sum of two or more operators between the same spaces; ``A + B`` makes it.

    Parameters
    ----------
    *terms : LinearOperator
        In the order in which they are added.

    Raises
    ------
    SpaceError
        When two terms have different domains or codomains.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal, Euclidean, Identity
    >>> A = Sum(Diagonal([1.0, 2.0]), Identity(Euclidean(2)))
    >>> A == Diagonal([1.0, 2.0]) + Identity(Euclidean(2)), A(np.ones(2)).tolist()
    (True, [2.0, 3.0])
    """

    @checked
    def __init__(self, *terms: LinearOperator) -> None:
        first = terms[0]
        for term in terms[1:]:
            if (term.domain, term.codomain) != (first.domain, first.codomain):
                raise SpaceError(f"cannot add {first!r} and {term!r}: the spaces differ")
        super().__init__(first.domain, first.codomain)
        self.terms = terms

    @property
    def exact(self) -> bool:
        """Exact where every term is."""
        return all(term.exact for term in self.terms)

    @property
    def roundings(self) -> int:
        """The worst term's, and one for each addition."""
        return max(term.roundings for term in self.terms) + len(self.terms) - 1

    @property
    def gain(self) -> float | None:
        """The sum of the terms'."""
        gains = [term.gain for term in self.terms]
        return None if None in gains else sum(gain for gain in gains if gain is not None)

    @property
    def claims(self) -> Claims:
        """Symmetry, positivity and being diagonal, where all terms have it."""
        return frozenset.intersection(claims.SYMMETRY | {claims.DIAGONAL}, *(term.claims for term in self.terms))

    @property
    def dual(self) -> LinearOperator:
        """The sum of the adjoints."""
        return Sum(*(term.dual for term in self.terms))

    def _apply(self, x: Vector) -> Vector:
        total = self.terms[0]._apply(x)
        for term in self.terms[1:]:
            total = arrays.add(total, term._apply(x), spent=total is not x)
        return total

    def _key(self) -> tuple[object, ...]:
        return self.terms

    def __str__(self) -> str:
        first, *others = map(str, self.terms)
        return first + "".join(f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in others)


def add(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """Return ``left + right``: flat, without zeros."""
    total = Sum(left, right)  # raises where the spaces differ
    if isinstance(left, Zero):
        return right
    if isinstance(right, Zero):
        return left
    return Sum(*(t for side in total.terms for t in (side.terms if isinstance(side, Sum) else (side,))))
