r"""Rewriting an expression to a cheaper one that is the same map.

`simplify` applies rules until none applies any more. A rule of one type looks at a node of the expression; a rule of
two types looks at two neighbours in a product; both return what takes its place, or None. They are looked up by the
types and their base classes::

    @rule(Shift, Shift)
    def _(left, right):
        return Shift(left.domain, left.steps + right.steps)

A rewriting is taken only where it does not cost more by `linop.cost`. The rules of this package are in
`linop.rewriting.rules`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache, reduce, singledispatch
from typing import Any, NamedTuple, TypeVar, final

from linop.arguments import checked
from linop.arrays import Scalar
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose, compose
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.parts import parts
from linop.core.scale import Scale, scale
from linop.core.sum import Sum, add
from linop.core.zero import Zero
from linop.errors import ArgumentTypeError
from linop.numbers import is_moderate, product
from linop.queries.cost import cost
from linop.query import Answer, Known, query

Rule = Callable[..., LinearOperator | None]
R = TypeVar("R", bound=Rule)

_rules: dict[tuple[type, ...], list[Rule]] = {}


@checked
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
        raise ArgumentTypeError(f"rule: expected one type or two, found {types}")

    def register(function: R) -> R:
        _rules.setdefault(types, []).append(function)
        _rules_for.cache_clear()
        return function

    return register


@cache
def _rules_for(*types: type) -> tuple[Rule, ...]:
    """Return the rules for these types and their bases, those of the nearest bases first."""
    keys = itertools.product(*(kind.__mro__ for kind in types))
    return tuple(function for key in keys for function in _rules.get(key, ()))


@checked
def simplify(operator: LinearOperator, by: Callable[[LinearOperator], Any] = cost) -> LinearOperator:
    """Return an expression for the same map that is as simple as the rules make it, and costs no more.

    Parameters
    ----------
    operator : LinearOperator
        Any expression.
    by : callable, optional
        What a rewriting must not raise: takes an operator and returns something that adds up along products, and can be
        compared. `linop.cost` by default.

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
    return _Rewriter(by).simplest(operator)


@final
class Rewriting(NamedTuple):
    """One application of a rule: which, and what it made of what. Its docstring says why the two are the same.

    Attributes
    ----------
    rule : callable
        As registered with `linop.rule`.
    before, after : LinearOperator
        The part of an expression that was rewritten, and what it became.

    Examples
    --------
    >>> from linop import Diagonal
    >>> _, (first, second) = derivation(Diagonal([2.0, 2.0]) @ Diagonal([0.5, 0.5]))
    >>> print(second.before, "=", second.after)
    Diagonal([1.0, 1.0]) = Identity
    >>> second.why
    '``diag(1) = I``.'
    """

    rule: Rule
    before: LinearOperator
    after: LinearOperator

    @property
    def why(self) -> str:
        """The rule in a sentence."""
        return " ".join((self.rule.__doc__ or self.rule.__name__).split("\n\n")[0].split())


@checked
def derivation(
    operator: LinearOperator, by: Callable[[LinearOperator], Any] = cost
) -> tuple[LinearOperator, list[Rewriting]]:
    """Return what `simplify` makes of an expression, and how: every rewriting on the way, in order.

    Parameters
    ----------
    operator, by
        As for `simplify`.

    Examples
    --------
    >>> from linop import Diagonal
    >>> result, steps = derivation(Diagonal([2.0, 2.0]) @ Diagonal([0.5, 0.5]))
    >>> print(result)
    Identity
    >>> for step in steps:
    ...     print(step.before, "->", step.after, "by", step.why)
    Diagonal([2.0, 2.0]) @ Diagonal([0.5, 0.5]) -> Diagonal([1.0, 1.0]) by ``diag(a) diag(b) = diag(a b)``.
    Diagonal([1.0, 1.0]) -> Identity by ``diag(1) = I``.
    """
    rewriter = _Rewriter(by)
    return rewriter.simplest(operator), rewriter.steps


class _Rewriter:
    """One simplification: what was found so far.

    What an operator costs and what becomes of it is found once; it is known again by its identity.
    """

    def __init__(self, by: Callable[[LinearOperator], Any]) -> None:
        self._by = by.keeping({}) if hasattr(by, "keeping") else by
        self._costs: dict[int, tuple[LinearOperator, Any]] = {}
        swept: Known = {}
        self._rewritten = query(self._settle).keeping(swept)
        self._settled: dict[tuple[int, ...], tuple[LinearOperator, ...]] = {}
        self.steps: list[Rewriting] = []

    def simplest(self, operator: LinearOperator) -> LinearOperator:
        """Return the cheapest expression on the way to one that no rule changes any more."""
        cheapest, before = operator, operator
        seen = {operator}
        while True:
            operator = self._rewritten(before)
            if operator is before:
                return cheapest
            if self._cost(operator) <= self._cost(cheapest):  # a number at the front may multiply a longer vector there
                cheapest = operator
            if operator in seen:  # rules may go round in a circle
                return cheapest
            seen.add(operator)
            before = operator

    def _settle(self, operator: LinearOperator) -> Answer[LinearOperator]:
        """Return an expression after sweeps over its nodes, the innermost first, until none changes it."""
        seen = {operator}
        while True:
            swept = yield from self._sweep(operator)
            if swept is operator or swept in seen or not self._cost(swept) <= self._cost(operator):
                return swept
            seen.add(swept)
            operator = swept

    def _sweep(self, operator: LinearOperator) -> Answer[LinearOperator]:
        """Return an expression after one sweep; itself where nothing changes."""
        if isinstance(operator, Compose):  # factors that meet need not be rewritten before
            met = self._product(operator)
            if met is not operator:
                return met
        else:  # what terms have in common is seen before they are rewritten apart
            operator = self._first(operator) or operator
        inside, simpler = parts(operator), list[LinearOperator]()
        for part in inside:
            simpler.append((yield part))
        if any(new is not old for new, old in zip(simpler, inside, strict=True)):
            operator = rebuild(operator, tuple(simpler))
        if isinstance(operator, Compose):
            operator = self._product(operator)
        found = self._first(operator)
        return operator if found is None else found

    def _product(self, operator: Compose) -> LinearOperator:
        """Return a product after a sweep from left to right, in which neighbours meet."""
        done: list[LinearOperator] = []
        number: Scalar = 1.0
        changed = False
        for factor in operator.factors:
            done.append(factor)
            while len(done) > 1 and (found := self._first(done[-2], done[-1])) is not None:
                changed = True
                if isinstance(found, Compose):  # it does not meet its neighbours before the next sweep
                    done[-2:] = found.factors
                    break
                if isinstance(found, Zero):
                    return Zero(operator.domain, operator.codomain)
                if isinstance(found, Scale) and found.commutes and is_moderate(found.scalar, found.codomain):
                    together = product(number, found.scalar, found.codomain)
                    if together is not None:
                        number, found = together, found.operator
                done[-2:] = [] if isinstance(found, Identity) else [found]
        if not changed:
            return operator
        return scale(number, reduce(compose, done or [Identity(operator.domain)]))

    def _first(self, *nodes: LinearOperator) -> LinearOperator | None:
        """Return what the first rule that applies makes of a node or of two neighbours; None without."""
        key = tuple(map(id, nodes))
        if key not in self._settled:
            for function in _rules_for(*map(type, nodes)):
                found = function(*nodes)
                if found is not None and self._cost(found) <= sum(map(self._cost, nodes[1:]), self._cost(nodes[0])):
                    self.steps.append(Rewriting(function, reduce(compose, nodes), found))
                    return found
            self._settled[key] = nodes  # kept, so that no other object takes their identities
        return None

    def _cost(self, operator: LinearOperator) -> Any:
        """Return what an operator costs; a product, as much as its factors together."""
        if id(operator) not in self._costs:
            if isinstance(operator, Compose):
                found = sum(map(self._cost, operator.factors[1:]), self._cost(operator.factors[0]))
            else:
                found = self._by(operator)
            self._costs[id(operator)] = operator, found
        return self._costs[id(operator)][1]


@checked
@singledispatch
def rebuild(  # what is registered uses `inside`
    operator: LinearOperator,
    inside: tuple[LinearOperator, ...],  # noqa: ARG001
) -> LinearOperator:
    """Return the expression of the same kind with other parts, which map between the same spaces.

    Register a class of expressions of your own, together with `linop.parts`.

    Parameters
    ----------
    operator : LinearOperator
        The expression.
    inside : tuple of LinearOperator
        Its new parts, in the order of `linop.parts`.

    Examples
    --------
    >>> from linop import Diagonal, Euclidean, Identity, parts
    >>> A = Diagonal([1.0, 2.0]) @ Diagonal([3.0, 4.0])
    >>> rebuild(A, (Identity(Euclidean(2)), parts(A)[1])) == Diagonal([3.0, 4.0])
    True
    """
    raise ArgumentTypeError(
        f"rebuild: expected operator to have parts, and its class to be registered; found {operator!r}"
    )


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
