"""An expression as a sum of products: equal sums belong to equal maps."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, final

from linop import claims
from linop.arrays import Scalar
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose, compose
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.scale import Scale
from linop.core.sum import Sum
from linop.core.zero import Zero
from linop.query import Answer, query

LIMIT = 100
"""How many terms an expansion may have: a product of sums has exponentially many."""


@final
class Exact(NamedTuple):
    """A number without rounding: sums and products of floating ones, of whatever size, lose nothing.

    Examples
    --------
    >>> one = exact(1e200) + exact(1.0) - exact(1e200)
    >>> one == exact(1.0), bool(exact(1e-200) * exact(1e-200))
    (True, True)
    """

    real: Fraction
    imag: Fraction

    def __add__(self, other: Exact) -> Exact:  # type: ignore[override]
        return Exact(self.real + other.real, self.imag + other.imag)

    def __sub__(self, other: Exact) -> Exact:
        return Exact(self.real - other.real, self.imag - other.imag)

    def __mul__(self, other: Exact) -> Exact:  # type: ignore[override]
        (a, b), (c, d) = self, other
        return Exact(a * c - b * d, a * d + b * c)

    def __bool__(self) -> bool:
        return bool(self.real or self.imag)

    @property
    def digits(self) -> int:
        """Number of binary digits of the longest integer in it."""
        parts = (self.real.numerator, self.real.denominator, self.imag.numerator, self.imag.denominator)
        return max(part.bit_length() for part in parts)

    @property
    def rounded(self) -> float | complex:
        """The nearest floating number: a real one where nothing is imaginary."""
        return complex(self.real, self.imag) if self.imag else float(self.real)


def exact(number: Scalar) -> Exact:
    """Return a number without rounding.

    Examples
    --------
    >>> exact(0.5 - 2j)
    Exact(real=Fraction(1, 2), imag=Fraction(-2, 1))
    """
    return Exact(Fraction(number.real), Fraction(number.imag))


DIGITS = 10_000
"""How many binary digits a number may have: products of many tiny numbers have more and more."""

Terms = dict[LinearOperator, Exact]


@query
def expansion(operator: LinearOperator) -> Terms | None:
    """Return an expression as a sum of multiples of products that contain no sums.

    Parameters
    ----------
    operator : LinearOperator
        The expression.

    Returns
    -------
    dict of exact numbers by LinearOperator, or None
        Like terms are together, and none is zero. None, where there would be more than `LIMIT` terms on the way.

    Examples
    --------
    >>> from linop import Matrix
    >>> A, B = Matrix([[1.0, 2.0], [3.0, 4.0]]), Matrix([[0.0, 1.0], [0.0, 0.0]])
    >>> expansion(A @ (A + B) - A @ A) == {A @ B: exact(1.0)}
    True
    """
    return {operator: exact(1.0)}


@expansion.register
def _(operator: Zero) -> Terms:  # noqa: ARG001  (whatever its spaces)
    return {}


@expansion.register
def _(operator: Adjoint) -> Terms:
    itself = claims.SELF_ADJOINT in operator.operator.claims
    return {operator.operator if itself else operator: exact(1.0)}


@expansion.register
def _(operator: Sum) -> Answer[Terms | None]:
    total: Terms = {}
    for term in operator.terms:
        terms = yield term
        if terms is None:
            return None
        _increase(total, exact(1.0), terms)
        if len(total) > LIMIT:
            return None
    return total


@expansion.register
def _(operator: Scale) -> Answer[Terms | None]:
    if not operator.commutes:
        return {operator: exact(1.0)}
    terms = yield operator.operator
    return None if terms is None else _multiplied({Identity(operator.codomain): exact(operator.scalar)}, terms)


@expansion.register
def _(operator: Compose) -> Answer[Terms | None]:
    result: Terms | None = {Identity(operator.domain): exact(1.0)}
    row: LinearOperator = Identity(operator.domain)  # of factors that are no sums, which are multiplied together
    for factor in reversed(operator.factors):
        terms = yield factor
        if terms is None or result is None:
            return None
        if list(terms.values()) == [exact(1.0)]:
            row = compose(next(iter(terms)), row)
        else:
            result = _multiplied({row: exact(1.0)}, result)
            result = None if result is None else _multiplied(terms, result)
            row = Identity(factor.codomain)
    return None if result is None else _multiplied({row: exact(1.0)}, result)


def _multiplied(left: Terms, right: Terms) -> Terms | None:
    """Return the product of two sums; None where it is too long, or its numbers are."""
    if len(left) * len(right) > LIMIT:
        return None
    total: Terms = {}
    for first, a in left.items():
        for second, b in right.items():
            _increase(total, a * b, _plain(compose(first, second)))
    return total if all(number.digits <= DIGITS for number in total.values()) else None


def _plain(product: LinearOperator) -> Terms:
    """Return a product without sums, from which a number may have come out."""
    if isinstance(product, Scale) and product.commutes:
        return {product.operator: exact(product.scalar)}
    return {} if isinstance(product, Zero) else {product: exact(1.0)}


def _increase(total: Terms, scalar: Exact, terms: Terms) -> None:
    """Add a multiple of a sum to another, with like terms together."""
    for term, factor in terms.items():
        found = total.get(term, exact(0.0)) + scalar * factor
        if found:
            total[term] = found
        else:
            total.pop(term, None)
