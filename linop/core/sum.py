"""The sum of operators.

=========  ==========================================
map        ``(A + B) x = A x + B x``
adjoint    ``(A + B)* = A* + B*``
matrix     the sum of the matrices
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import final

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.expression import SHALLOW, Row, Steps, applied, derived
from linop.core.operator import LinearOperator
from linop.core.zero import Zero
from linop.errors import SpaceError
from linop.writing import PLUS, Pieces


@final
class Sum(Row):
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
            _require_same_spaces(first, term)
        super().__init__(first.domain, first.codomain)
        self._hold(terms)

    @property
    def terms(self) -> tuple[LinearOperator, ...]:
        """The operators that are added, in order."""
        return self._parts

    @derived
    def exact(self) -> bool:
        """Exact where every term is."""
        return all(term.exact for term in self._parts)

    @derived
    def roundings(self) -> int:
        """The worst term's, and one for each addition."""
        return max(term.roundings for term in self._parts) + len(self._parts) - 1

    @derived
    def gain(self) -> float | None:
        """The sum of the terms'."""
        gains = [term.gain for term in self._parts]
        total = math.inf if None in gains else sum(gain for gain in gains if gain is not None)
        return total if math.isfinite(total) else None

    @derived
    def claims(self) -> Claims:
        """Symmetry, positivity and being diagonal, where all terms have it."""
        return frozenset.intersection(claims.SYMMETRY | {claims.DIAGONAL}, *(term.claims for term in self._parts))

    @derived
    def dual(self) -> LinearOperator:
        """The sum of the adjoints."""
        return Sum(*(term.dual for term in self._parts))

    def _apply(self, x: Vector) -> Vector:
        if self._levels > SHALLOW:
            return applied(self, x)
        terms = self._parts
        total = terms[0]._apply(x)
        for term in terms[1:]:
            total = arrays.add(total, term._apply(x), spent=total is not x)
        return total

    def _steps(self, x: Vector) -> Steps:
        total = yield self.first, x
        for term in self._parts[1:]:
            total = arrays.add(total, (yield term, x), spent=total is not x)
        return total

    def _key(self) -> tuple[object, ...]:
        return self._parts

    def _pieces(self) -> Pieces:
        yield self.first
        for term in self._parts[1:]:
            yield PLUS
            yield term


def add(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """Return ``left + right``: flat, without zeros."""
    _require_same_spaces(left, right)
    if isinstance(left, Zero):
        return right
    if isinstance(right, Zero):
        return left
    return Sum._joined(left, right, left.domain, left.codomain)


def _require_same_spaces(first: LinearOperator, term: LinearOperator) -> None:
    if (first.domain is not term.domain and first.domain != term.domain) or (
        first.codomain is not term.codomain and first.codomain != term.codomain
    ):
        raise SpaceError(f"cannot add {first!r} and {term!r}: the spaces differ")
