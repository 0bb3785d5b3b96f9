"""The composition of operators.

=========  ==========================================
map        ``(A B) x = A (B x)``
adjoint    ``(A B)* = B* A*``
matrix     the product of the matrices
=========  ==========================================
"""

from __future__ import annotations

import itertools
import math
from typing import final

from linop import claims
from linop.algebra.scale import Scale, scale
from linop.algebra.sum import Sum
from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.errors import SpaceError
from linop.operator import LinearOperator
from linop.operators.identity import Identity
from linop.operators.reweight import Reweight
from linop.operators.riesz import Riesz
from linop.operators.zero import Zero


@final
class Compose(LinearOperator):
    """The product of two or more operators; ``A @ B`` makes it.

    Parameters
    ----------
    *factors : LinearOperator
        As written: the last one is applied first.

    Raises
    ------
    SpaceError
        When a factor's domain is not the codomain of the factor after it.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal, Matrix
    >>> A = Compose(Diagonal([1.0, 2.0]), Matrix([[0.0, 1.0], [1.0, 1.0]]))
    >>> A == Diagonal([1.0, 2.0]) @ Matrix([[0.0, 1.0], [1.0, 1.0]]), A(np.array([3.0, 4.0])).tolist()
    (True, [4.0, 14.0])
    """

    @checked
    def __init__(self, *factors: LinearOperator) -> None:
        for left, right in itertools.pairwise(factors):
            if left.domain is not right.codomain and left.domain != right.codomain:
                raise SpaceError(
                    f"cannot compose {left} @ {right}: {left} takes vectors of {left.domain}, "
                    f"{right} gives vectors of {right.codomain}"
                )
        super().__init__(factors[-1].domain, factors[0].codomain)
        self.factors = factors

    @property
    def exact(self) -> bool:
        """Exact where every factor is."""
        return all(factor.exact for factor in self.factors)

    @property
    def roundings(self) -> int:
        """The sum over the factors."""
        return sum(factor.roundings for factor in self.factors)

    @property
    def gain(self) -> float | None:
        """The product of the factors'."""
        gains = [factor.gain for factor in self.factors]
        return None if None in gains else math.prod(gain for gain in gains if gain is not None)

    @property
    def claims(self) -> Claims:
        """Isometries make an isometry, diagonals a diagonal; ``B* M B`` is symmetric and positive as M is."""
        found = frozenset.intersection(
            claims.UNITARY | {claims.DIAGONAL, claims.SELF_ADJOINT}, *(factor.claims for factor in self.factors)
        )
        if claims.DIAGONAL not in found:  # symmetric factors make a symmetric product where they commute
            found -= {claims.SELF_ADJOINT}
        half, odd = divmod(len(self.factors), 2)
        if self.domain == self.codomain and all(self.factors[k].dual == self.factors[-1 - k] for k in range(half)):
            found |= claims.SYMMETRY & self.factors[half].claims if odd else claims.SYMMETRY
        return found

    @property
    def dual(self) -> LinearOperator:
        """The adjoints in reverse order."""
        result = self.factors[0].dual
        for factor in self.factors[1:]:
            result = compose(factor.dual, result)
        return result

    def _apply(self, x: Vector) -> Vector:
        for factor in reversed(self.factors):
            x = factor._apply(x)
        return x

    def _key(self) -> tuple[object, ...]:
        return self.factors

    def __str__(self) -> str:
        return " @ ".join(f"({f})" if isinstance(f, Sum | Scale) else str(f) for f in self.factors)


def compose(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """Return ``left @ right``: flat, without identities, scalars in front, zero where a factor is, ``R^-1 R = I``."""
    before = left.factors if type(left) is Compose else (left,)
    after = right.factors if type(right) is Compose else (right,)
    if left.domain is not right.codomain and left.domain != right.codomain:
        Compose(*before, *after)  # raises
    if type(before[-1]) in _SPECIAL or type(after[0]) in _SPECIAL:
        return _special(left, right, before, after)
    product: Compose = object.__new__(Compose)
    product.domain = right.domain
    product.codomain = left.codomain
    product.factors = before + after
    return product


def _special(
    left: LinearOperator, right: LinearOperator, before: tuple[LinearOperator, ...], after: tuple[LinearOperator, ...]
) -> LinearOperator:
    """Apply the rules about operators that are no plain factors."""
    if isinstance(left, Identity):
        return right
    if isinstance(right, Identity):
        return left
    if isinstance(left, Zero) or isinstance(right, Zero):
        return Zero(right.domain, left.codomain)
    if isinstance(left, Scale) and left.commutes:
        return scale(left.scalar, compose(left.operator, right))
    if isinstance(right, Scale) and right.commutes:
        return scale(right.scalar, compose(left, right.operator))
    factors, k = [*before, *after], len(before)
    while 0 < k < len(factors) and (met := _meet(factors[k - 1], factors[k])) is not None:
        factors[k - 1 : k + 1] = [] if isinstance(met, Identity) else [met]
        k -= 1
    if not factors:
        return Identity(right.domain)
    return factors[0] if len(factors) == 1 else Compose(*factors)


def _meet(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Return what two neighbours become where a constant-time rule applies: a Riesz map and its inverse cancel."""
    if isinstance(left, Riesz) and left.undoes(right):
        return Identity(left.domain)
    if isinstance(left, Reweight) and isinstance(right, Reweight):
        return Identity(left.codomain) if left.codomain == right.domain else Reweight(right.domain, left.codomain)
    if isinstance(left, Scale) and isinstance(right, Scale):
        return scale(left.scalar, right)
    return None


_SPECIAL = frozenset({Identity, Zero, Scale, Riesz, Reweight})


def power(operator: LinearOperator, exponent: int) -> LinearOperator:
    """Return the product of `exponent` times the operator with itself; of its inverse, where that is negative.

    Raises
    ------
    SpaceError
        When the operator does not map a space to itself.
    """
    if operator.domain != operator.codomain:
        raise SpaceError(f"{operator!r}: a power needs a map from a space to itself")
    if exponent < 0:
        from linop.inverse import inverse

        return power(inverse(operator), -exponent)
    result: LinearOperator = Identity(operator.domain)
    for _ in range(exponent):
        result = compose(operator, result)
    return result
