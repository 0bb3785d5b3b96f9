"""The composition of operators.

=========  ==========================================
map        ``(A B) x = A (B x)``
adjoint    ``(A B)* = B* A*``
matrix     the product of the matrices
=========  ==========================================
"""

from __future__ import annotations

import itertools
from functools import reduce
from typing import final

from linop import claims, upward
from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.expression import SHALLOW, SHORT, Row, Steps, applied, derived
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.scale import Scale, scale
from linop.core.sum import Sum
from linop.core.zero import Zero
from linop.errors import SpaceError
from linop.numbers import gain_of, is_moderate
from linop.spaces import Space
from linop.writing import Pieces


@final
class Compose(Row):
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
            _require_meeting(left, right)
        super().__init__(factors[-1].domain, factors[0].codomain)
        self._hold(factors)

    @property
    def factors(self) -> tuple[LinearOperator, ...]:
        """The operators that are multiplied, as written: the last one is applied first."""
        return self._parts

    @derived
    def exact(self) -> bool:
        """Exact where every factor is."""
        return all(factor.exact for factor in self._parts)

    @derived
    def roundings(self) -> int:
        """The sum over the factors."""
        return sum(factor.roundings for factor in self._parts)

    @derived
    def gain(self) -> float | None:
        """The product of the factors'."""
        return gain_of([factor.gain for factor in self._parts])

    @derived
    def claims(self) -> Claims:
        """Isometries make an isometry, diagonals a diagonal; ``B* M B`` is symmetric and positive as M is."""
        factors = self._parts
        found = frozenset.intersection(
            claims.UNITARY | {claims.DIAGONAL, claims.SELF_ADJOINT}, *(factor.claims for factor in factors)
        )
        if claims.DIAGONAL not in found:  # symmetric factors make a symmetric product where they commute
            found -= {claims.SELF_ADJOINT}
        half, odd = divmod(len(factors), 2)
        if self.domain == self.codomain and all(factors[k].dual == factors[-1 - k] for k in range(half)):
            found |= claims.SYMMETRY & factors[half].claims if odd else claims.SYMMETRY
        return found

    @derived
    def dual(self) -> LinearOperator:
        """The adjoints in reverse order."""
        result = self.first.dual
        for factor in self._parts[1:]:
            result = compose(factor.dual, result)
        return result

    def _apply(self, x: Vector) -> Vector:
        if self._levels > SHALLOW:
            return applied(self, x)
        for factor in reversed(self._parts):
            x = factor._apply(x)
        return x

    def _steps(self, x: Vector) -> Steps:
        for factor in reversed(self._parts):
            x = yield factor, x
        return x

    def _key(self) -> tuple[object, ...]:
        return self._parts

    def _pieces(self) -> Pieces:
        for k, factor in enumerate(self._parts):
            if k:
                yield " @ "
            yield from ("(", factor, ")") if isinstance(factor, Sum | Scale) else (factor,)


def compose(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """Return ``left @ right``: flat, without identities, scalars in front, zero where a factor is, ``R^-1 R = I``.

    A number that is so large or small that numbers might over- or underflow elsewhere stays where it is.
    """
    before = left._row if type(left) is Compose else (left,)
    after = right._row if type(right) is Compose else (right,)
    if not (before and after and len(before) + len(after) <= SHORT):
        return _long(left, right)
    if left.domain is not right.codomain and left.domain != right.codomain:
        _require_meeting(before[-1], after[0])
    if before[-1]._meets or after[0]._meets:
        return _special(left, right)
    product: Compose = object.__new__(Compose)
    product.domain = right.domain
    product.codomain = left.codomain
    product._row = before + after
    levels, others = left._levels, right._levels
    product._levels = levels if levels > others else others
    return product


def _long(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """Return the product of factors of which there are many."""
    last = left.last if isinstance(left, Compose) else left
    first = right.first if isinstance(right, Compose) else right
    _require_meeting(last, first)
    if last._meets or first._meets:
        return _special(left, right)
    return Compose._joined(left, right, right.domain, left.codomain)


def _require_meeting(left: LinearOperator, right: LinearOperator) -> None:
    """Raise unless one factor can stand before another."""
    if left.domain is not right.codomain and left.domain != right.codomain:
        raise SpaceError(
            f"cannot compose {left} @ {right}: {left} takes vectors of {left.domain}, "
            f"{right} gives vectors of {right.codomain}"
        )


def _special(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """Apply the rules about operators that are no plain factors."""
    if isinstance(left, Identity):
        return right
    if isinstance(right, Identity):
        return left
    domain, codomain = right.domain, left.codomain
    if isinstance(left, Zero) or isinstance(right, Zero):
        return Zero(domain, codomain)
    if isinstance(left, Scale) and _may_move(left):
        return scale(left.scalar, compose(left.operator, right))
    if isinstance(right, Scale) and _may_move(right) and is_moderate(right.scalar, right.codomain):
        return scale(right.scalar, compose(left, right.operator))
    before: LinearOperator | None = left
    after: LinearOperator | None = right
    while before is not None and after is not None:
        last = before.last if isinstance(before, Compose) else before
        first = after.first if isinstance(after, Compose) else after
        met = last._met(first)
        if met is None:
            return Compose._joined(before, after, domain, codomain)
        before, after = _without_last(before), _without_first(after)
        if not isinstance(met, Identity):
            after = met if after is None else Compose._joined(met, after, domain, met.codomain)
    return before or after or Identity(domain)


def _may_move(number: Scale) -> bool:
    """Say whether a number may stand before a longer product: it commutes, and is no one of several."""
    return number.commutes and not isinstance(number.operator, Scale)


def _without_last(product: LinearOperator) -> LinearOperator | None:
    """Return a product without its last factor; None where there is no other."""
    passed: list[LinearOperator] = []
    rest: LinearOperator | None = product
    while isinstance(rest, Compose) and not rest._row:
        left, rest = rest._sides
        passed.append(left)
    rest = _of(rest._row[:-1]) if isinstance(rest, Compose) else None
    for left in reversed(passed):
        rest = left if rest is None else Compose._joined(left, rest, rest.domain, left.codomain)
    return rest


def _without_first(product: LinearOperator) -> LinearOperator | None:
    """Return a product without its first factor; None where there is no other."""
    passed: list[LinearOperator] = []
    rest: LinearOperator | None = product
    while isinstance(rest, Compose) and not rest._row:
        rest, right = rest._sides
        passed.append(right)
    rest = _of(rest._row[1:]) if isinstance(rest, Compose) else None
    for right in reversed(passed):
        rest = right if rest is None else Compose._joined(rest, right, right.domain, rest.codomain)
    return rest


def _of(factors: tuple[LinearOperator, ...]) -> LinearOperator:
    """Return the product of factors that are known to fit."""
    return factors[0] if len(factors) == 1 else Compose(*factors)


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
        return power(upward.inverse(operator), -exponent)
    result: LinearOperator = Identity(operator.domain)
    for _ in range(exponent):
        result = compose(operator, result)
    return result


def factors_of(operator: LinearOperator) -> tuple[LinearOperator, ...]:
    """Return the factors of a product, or the operator as the only one."""
    return operator.factors if isinstance(operator, Compose) else (operator,)


def product_of(factors: tuple[LinearOperator, ...], space: Space) -> LinearOperator:
    """Return the product of factors; the identity of a space without any."""
    return reduce(compose, factors) if factors else Identity(space)
