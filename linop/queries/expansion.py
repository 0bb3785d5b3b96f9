"""An expression as a sum of products: equal sums belong to equal maps."""

from __future__ import annotations

from linop import claims
from linop.algebra.adjoint import Adjoint
from linop.algebra.compose import Compose, compose
from linop.algebra.scale import Scale
from linop.algebra.sum import Sum
from linop.arrays import Scalar
from linop.operator import LinearOperator
from linop.operators.zero import Zero

LIMIT = 100
"""How many terms an expansion may have: a product of sums has exponentially many."""

Terms = dict[LinearOperator, Scalar]


def expansion(operator: LinearOperator) -> Terms | None:
    """Return an expression as a sum of multiples of products that contain no sums.

    Parameters
    ----------
    operator : LinearOperator
        The expression.

    Returns
    -------
    dict of scalars by LinearOperator, or None
        Like terms are together, and none is zero. None, where there would be more than `LIMIT` terms on the way.

    Examples
    --------
    >>> from linop import Matrix
    >>> A, B = Matrix([[1.0, 2.0], [3.0, 4.0]]), Matrix([[0.0, 1.0], [0.0, 0.0]])
    >>> expansion(A @ (A + B) - A @ A) == {A @ B: 1.0}
    True
    """
    if isinstance(operator, Zero):
        return {}
    if isinstance(operator, Sum):
        return _collected([(1.0, expansion(term)) for term in operator.terms])
    if isinstance(operator, Scale) and operator.commutes:
        return _collected([(operator.scalar, expansion(operator.operator))])
    if isinstance(operator, Adjoint) and claims.SELF_ADJOINT in operator.operator.claims:
        return {operator.operator: 1.0}
    if not isinstance(operator, Compose):
        return {operator: 1.0}
    product = expansion(operator.factors[-1])
    for factor in reversed(operator.factors[:-1]):
        left = expansion(factor)
        if left is None or product is None or len(left) * len(product) > LIMIT:
            return None
        product = _collected(
            [(a * b, _plain(compose(first, second))) for first, a in left.items() for second, b in product.items()]
        )
    return product


def _plain(product: LinearOperator) -> Terms:
    """Return a product without sums, from which a number may have come out."""
    if isinstance(product, Scale) and product.commutes:
        return {product.operator: product.scalar}
    return {} if isinstance(product, Zero) else {product: 1.0}


def _collected(parts: list[tuple[Scalar, Terms | None]]) -> Terms | None:
    """Return the sum of multiples of sums, with like terms together."""
    total: Terms = {}
    for scalar, terms in parts:
        if terms is None:
            return None
        for term, factor in terms.items():
            total[term] = total.get(term, 0.0) + scalar * factor
    found = {term: scalar for term, scalar in total.items() if scalar != 0}
    return found if len(found) <= LIMIT else None
