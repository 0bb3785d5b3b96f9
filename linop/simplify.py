r"""Rewriting an expression to a cheaper one that is the same map.

`simplify` applies rules until none applies any more. A rule of one type looks at a node of the expression; a rule of
two types looks at two neighbours in a product; both return what takes its place, or None. They are looked up by the
types and their base classes::

    @rule(Shift, Shift)
    def _(left, right):
        return Shift(left.domain, left.steps + right.steps)

A rewriting is taken only where it does not cost more by `linop.cost`. The rules of this package are in `linop.rules`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache, reduce, singledispatch
from typing import Any, TypeVar

from linop.algebra.adjoint import Adjoint
from linop.algebra.block import Block
from linop.algebra.block_diagonal import BlockDiagonal
from linop.algebra.compose import Compose, compose
from linop.algebra.kron import Kron
from linop.algebra.scale import Scale, scale
from linop.algebra.stack import HStack, VStack
from linop.algebra.sum import Sum, add
from linop.inverse import Inverse, inverse
from linop.operator import LinearOperator
from linop.queries.cost import cost
from linop.queries.parts import parts

Rule = Callable[..., LinearOperator | None]
R = TypeVar("R", bound=Rule)

_rules: dict[tuple[type, ...], list[Rule]] = {}


def rule(*types: type) -> Callable[[R], R]:
    """Register a rewriting rule: of a node of one type, or of two neighbours in a product.

    Parameters
    ----------
    *types : type
        One or two operator classes; a rule applies to their subclasses, too.

    Returns
    -------
    callable
        A decorator. The rule takes the node, or the left and the right neighbour, and returns an operator between the
        same spaces, or None where it does not apply.

    Raises
    ------
    TypeError
        When there is not one type or two.

    Examples
    --------
    >>> from linop import Diagonal
    >>> @rule(Diagonal)
    ... def never(diagonal):
    ...     return None
    """
    if len(types) not in (1, 2):
        raise TypeError(f"rule: expected one type or two, found {types}")

    def register(function: R) -> R:
        _rules.setdefault(types, []).append(function)
        _rules_for.cache_clear()
        return function

    return register


@cache
def _rules_for(*types: type) -> tuple[Rule, ...]:
    """Return the rules for these types and their bases, those of the nearest bases first."""
    import linop.rules  # noqa: F401  (they register themselves)

    keys = itertools.product(*(kind.__mro__ for kind in types))
    return tuple(function for key in keys for function in _rules.get(key, ()))


def simplify(operator: LinearOperator) -> LinearOperator:
    """Return an expression for the same map that is as simple as the rules make it, and costs no more.

    Parameters
    ----------
    operator : LinearOperator
        Any expression.

    Returns
    -------
    LinearOperator
        Between the same spaces. Where arithmetic is exact, it gives the same numbers; else they may be rounded
        differently.

    Examples
    --------
    >>> from linop import Diagonal, FFT, Euclidean
    >>> F = FFT(Euclidean(8, complex), norm="ortho")
    >>> print(simplify(F.H @ F))
    Identity
    >>> print(simplify(Diagonal([1.0, 2.0]) @ Diagonal([3.0, 4.0]) @ Diagonal([3.0, 4.0]) - 1 * Diagonal([1.0, 1.0])))
    Diagonal([8.0, 31.0])
    """
    seen, cheapest = {operator}, operator
    while True:
        operator = _rewritten(operator)
        if cost(operator) <= cost(cheapest):  # a number that comes to the front may multiply a longer vector there
            cheapest = operator
        if operator in seen:  # also where rules would go round in a circle
            return cheapest
        seen.add(operator)


def _rewritten(operator: LinearOperator) -> LinearOperator:
    """Return the expression after one rewriting of each of its nodes, the innermost first."""
    inside = parts(operator)
    simpler = tuple(map(_rewritten, inside))
    if simpler != inside:
        operator = rebuild(operator, simpler)
    if isinstance(operator, Compose):
        for k, (left, right) in enumerate(itertools.pairwise(operator.factors)):
            found = _first(left, right)
            if found is not None:
                return reduce(compose, (*operator.factors[:k], found, *operator.factors[k + 2 :]))
    found = _first(operator)
    return operator if found is None else found


def _first(*nodes: LinearOperator) -> LinearOperator | None:
    """Return what the first rule that applies makes of a node or of two neighbours; None without."""
    for function in _rules_for(*map(type, nodes)):
        found = function(*nodes)
        if found is not None and cost(found) <= cost(reduce(compose, nodes)):
            return found
    return None


@singledispatch
def rebuild(operator: LinearOperator, inside: tuple[Any, ...]) -> LinearOperator:  # noqa: ARG001  (what is registered)
    """Return the expression of the same kind with other parts, which map between the same spaces.

    Register a class of expressions of your own, together with `linop.parts`.

    Parameters
    ----------
    operator : LinearOperator
        The expression.
    inside : tuple of LinearOperator
        Its new parts, in the order of `linop.parts`.
    """
    raise TypeError(f"{operator!r} has parts, and rebuild is not registered for {type(operator).__name__}")


@rebuild.register
def _(operator: Compose, inside: tuple[Any, ...]) -> LinearOperator:  # noqa: ARG001
    found: LinearOperator = reduce(compose, inside)
    return found


@rebuild.register
def _(operator: Sum, inside: tuple[Any, ...]) -> LinearOperator:  # noqa: ARG001
    found: LinearOperator = reduce(add, inside)
    return found


@rebuild.register
def _(operator: Scale, inside: tuple[Any, ...]) -> LinearOperator:
    return scale(operator.scalar, inside[0])


@rebuild.register
def _(operator: Adjoint, inside: tuple[Any, ...]) -> LinearOperator:  # noqa: ARG001
    found: LinearOperator = inside[0].dual
    return found


@rebuild.register
def _(operator: Inverse, inside: tuple[Any, ...]) -> LinearOperator:
    found = inverse(inside[0])
    if isinstance(found, Inverse):
        return Inverse(inside[0], positive=operator.positive, tolerance=operator.tolerance)
    return found


@rebuild.register
def _(operator: BlockDiagonal | HStack | VStack | Kron, inside: tuple[Any, ...]) -> LinearOperator:
    return type(operator)(*inside)


@rebuild.register
def _(operator: Block, inside: tuple[Any, ...]) -> LinearOperator:
    width = len(operator.rows[0])
    return Block([inside[k : k + width] for k in range(0, len(inside), width)])
