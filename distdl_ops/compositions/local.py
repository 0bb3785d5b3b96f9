"""Rank-local operators, lifted to all ranks.

=========  ==========================================================
map        every rank applies its own operator to what it holds
adjoint    every rank applies its own adjoint
matrix     block diagonal
=========  ==========================================================
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, ClassVar, NamedTuple, final
from weakref import WeakValueDictionary

import numpy as np

from distdl_ops.advice.cost import ParallelCost, Relay, cost_on, cost_table, share
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import AgreementError, agreed, tell_apart
from linop import (
    Compose,
    Cost,
    Diagonal,
    Euclidean,
    Identity,
    LinearOperator,
    Scale,
    SpaceError,
    Sum,
    claims,
    cost,
    parts,
    rule,
    simplify,
)
from linop.arguments import checked
from linop.arrays import Array, Scalar
from linop.claims import Claims
from linop.core.compose import compose
from linop.core.scale import scale
from linop.core.sum import add
from linop.errors import ArgumentTypeError
from linop.keyed import Keyed, fingerprint
from linop.numbers import gain_of, is_moderate, product
from linop.queries.cost import held


@final
class Local(LinearOperator):
    """The operator that applies one operator on each rank, without communication. Collective to build.

    Parameters
    ----------
    domain, codomain : DistributedSpace
        On the same grid. Along each axis both are replicated or neither is: making a replicated vector from
        independent ones, or back, needs a `Movement`.
    operator : LinearOperator
        This rank's: from a space of ``domain.shape`` to one of ``codomain.shape``. Replicas need the same operator.

    Raises
    ------
    SpaceError
        When operators and spaces do not fit.
    AgreementError
        When they do not fit on some ranks only, or replicas have other operators. Functions (of a `FunctionOperator`)
        cannot be compared; `linop.check_adjoint` finds it when those of replicas differ.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Grid, Split, simulate
    >>> from linop import Euclidean, Identity
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
    ...     A = Local(S, S, (world.rank + 1) * Identity(Euclidean(S.shape)))
    ...     return A(S.from_global(np.ones(3))).tolist()
    >>> simulate(2, main)
    [[1.0, 1.0], [2.0]]
    """

    domain: DistributedSpace
    codomain: DistributedSpace

    @checked
    def __init__(self, domain: DistributedSpace, codomain: DistributedSpace, operator: LinearOperator) -> None:
        require_spaces("Local", domain, codomain)
        world = domain.grid.world
        agreed(world, "Local", lambda: _check(domain, codomain, operator), lambda _: f"{domain!r} -> {codomain!r}")
        # Ranks may hold different operators, but must decide alike: what they ask of this one is known of all of them.
        summary, self._numbers = _summarise(operator)
        replicated = any(role.replicated for role in domain.roles.values())
        words = f"{str(operator)[:60]}, digest {fingerprint(operator)}" if replicated else ""
        everyone = world.allgather((summary, words), "Local")
        self._everyone = tuple(each for each, _ in everyone)
        _require_one_for_replicas(domain, [words for _, words in everyone])
        super().__init__(domain, codomain)
        self.operator = operator

    @property
    def exact(self) -> bool:
        """Exact where the operator of every rank is."""
        return all(summary.exact for summary in self._everyone)

    @property
    def roundings(self) -> int:
        """The most of any rank's operator."""
        return max(summary.roundings for summary in self._everyone)

    @property
    def gain(self) -> float | None:
        """The largest of any rank's operator."""
        gains = [summary.gain for summary in self._everyone]
        return None if None in gains else max(gain for gain in gains if gain is not None)

    @property
    def claims(self) -> Claims:
        """What the operators of all ranks claim."""
        shared = frozenset.intersection(*(summary.claims for summary in self._everyone))
        return shared if self.domain == self.codomain else shared & claims.UNITARY

    @property
    def dual(self) -> Local:
        """The adjoints. No communication."""
        summaries = [summary.mirrored() for summary in self._everyone]
        return _lifted(self.codomain, self.domain, self.operator.dual, summaries, self._numbers)

    @property
    def simple(self) -> bool:
        """Whether the operators of all ranks are known to be as simple as `linop.simplify` makes them."""
        return all(summary.simple for summary in self._everyone)

    @property
    def number(self) -> Scalar | None:
        """The number c where every rank's operator is c times the identity; None where it is not."""
        numbers = {summary.number for summary in self._everyone if summary.number != "any"}
        return None if len(numbers) > 1 else numbers.pop() if numbers else 1.0

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What the operator of each rank costs."""
        return tuple(summary.cost for summary in self._everyone)

    def simplified(self) -> Local:
        """Return the same with the operators of all ranks simplified; collective, unless they are known to be."""
        if self.simple:
            return self
        operator = simplify(self.operator)
        return lifted(self.domain, self.codomain, operator, simple=True)

    def after(self, other: Local) -> Local | None:
        """Return the product with another, rank by rank; None where not all ranks can multiply. No communication."""
        pairs = list(zip(self._everyone, other._everyone, strict=True))
        if any(left.ends[0] != right.ends[1] for left, right in pairs):
            return None
        summaries = [left.after(right, self.codomain) for left, right in pairs]
        numbers = self._numbers | other._numbers
        return _lifted(other.domain, self.codomain, self.operator @ other.operator, summaries, numbers)

    def _apply(self, x: Array) -> Array:
        return self.operator._apply(x)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, tuple(summary.identity for summary in self._everyone))

    def __str__(self) -> str:
        return f"Local({self.operator})"


def lifted(
    domain: DistributedSpace, codomain: DistributedSpace, operator: LinearOperator, *, simple: bool = False
) -> Local:
    """Return ``Local(domain, codomain, operator)`` of operators that are known to fit; `simple`, to be simplified.

    Collective: each rank tells of its operator.
    """
    summary, numbers = _summarise(operator, simple=simple)
    return _lifted(domain, codomain, operator, domain.grid.world.allgather(summary, "Local"), numbers)


def diagonal(space: DistributedSpace, entries: object) -> Local:
    """Return the multiplication of a distributed vector by a tensor, entry by entry. Collective.

    Parameters
    ----------
    space : DistributedSpace
        Domain and codomain.
    entries : numpy array, of the logical tensor's shape
        The same on every rank.
    """
    part = Euclidean(space.shape, space.dtype, space.field)
    return lifted(space, space, Diagonal(space.from_global(entries), part))


def summed(terms: Sequence[LinearOperator]) -> Local | None:
    """Return the sum of multiples of local operators and identities as one; None where not all ranks can add.

    Collective.
    """
    split = [(term.scalar, term.operator) if isinstance(term, Scale) else (1.0, term) for term in terms]
    locals_ = [term for _, term in split if isinstance(term, Local)]
    if not locals_:
        return None
    first = locals_[0]
    ends = [summary.ends for summary in first._everyone]
    square = all(domain == codomain for domain, codomain in ends)
    if any([summary.ends for summary in term._everyone] != ends for term in locals_) or (
        len(locals_) < len(terms) and not square
    ):
        return None
    identity = Identity(first.operator.domain)
    multiples = [scale(number, term.operator if isinstance(term, Local) else identity) for number, term in split]
    return lifted(first.domain, first.codomain, reduce(add, multiples))


def _lifted(
    domain: DistributedSpace,
    codomain: DistributedSpace,
    operator: LinearOperator,
    summaries: list[_Summary],
    numbers: frozenset[_Number],
) -> Local:
    """Return ``Local(domain, codomain, operator)`` of operators that are known to fit, without communication."""
    lifted_operator = object.__new__(Local)
    LinearOperator.__init__(lifted_operator, domain, codomain)
    lifted_operator._everyone, lifted_operator.operator, lifted_operator._numbers = tuple(summaries), operator, numbers
    return lifted_operator


@final
class _Number:
    """A number that stands for equal operators, or spaces, of one process: as long as anybody keeps it."""

    _numbers: ClassVar[WeakValueDictionary[Keyed, _Number]] = WeakValueDictionary()
    _next: ClassVar[Iterator[int]] = itertools.count()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, value: int) -> None:
        self.value = value

    @classmethod
    def of(cls, thing: Keyed) -> _Number:
        """Return the number of something: of what is equal to it, where that has one; else a new one."""
        hash(thing)  # which may take long, and is kept
        with cls._lock:  # of simulated ranks in one process
            number = cls._numbers.get(thing)
            if number is None:
                number = cls._numbers[thing] = cls(next(cls._next))
            return number


class _Summary(NamedTuple):
    """What a rank tells the others of its operator.

    Whether two operators of one rank are equal, that rank alone can say: it gives equal ones the same number.
    """

    exact: bool
    roundings: int
    gain: float | None
    claims: Claims
    identity: tuple[int, ...]  # the numbers of the factors
    mirror: tuple[int, ...]  # those of the adjoint's
    ends: tuple[int, int]  # those of domain and codomain
    cost: Cost
    number: Any  # None, or c of c times the identity; "any" where there is nothing to multiply
    simple: bool

    def mirrored(self) -> _Summary:
        """Return what the rank tells of the adjoint."""
        number = self.number.conjugate() if isinstance(self.number, complex) else self.number
        return self._replace(
            claims=claims.mirrored(self.claims),
            identity=self.mirror,
            mirror=self.identity,
            ends=self.ends[::-1],
            number=number,
        )

    def after(self, other: _Summary, space: DistributedSpace) -> _Summary:
        """Return what the rank tells of the product, to a space, with another operator, which was applied before."""
        kept = claims.UNITARY | {claims.DIAGONAL}
        return _Summary(
            self.exact and other.exact,
            self.roundings + other.roundings,
            gain_of([self.gain, other.gain]),
            self.claims & other.claims & kept,
            self.identity + other.identity,
            other.mirror + self.mirror,
            (other.ends[0], self.ends[1]),
            self.cost + other.cost,
            _product(self.number, other.number, space),
            False,
        )


def _summarise(operator: LinearOperator, *, simple: bool = False) -> tuple[_Summary, frozenset[_Number]]:
    """Return what is told of an operator, and the numbers in it, to be kept; `simple`, where it was simplified."""
    dual = operator.dual
    identity = [_Number.of(factor) for factor in _factors(operator)]
    mirror = identity if dual is operator else [_Number.of(factor) for factor in _factors(dual)]
    ends = _Number.of(operator.domain), _Number.of(operator.codomain)
    summary = _Summary(
        operator.exact,
        operator.roundings,
        operator.gain,
        operator.claims,
        tuple(number.value for number in identity),
        tuple(number.value for number in mirror),
        (ends[0].value, ends[1].value),
        cost(operator),
        _number(operator),
        simple or (not parts(operator) and simplify(operator) is operator),
    )
    return summary, frozenset((*identity, *mirror, *ends))


def _factors(operator: LinearOperator) -> tuple[LinearOperator, ...]:
    """Return the factors of a product, or an operator as the only one."""
    return operator.factors if isinstance(operator, Compose) else (operator,)


def _number(operator: LinearOperator) -> Any:
    """Return c where an operator is c times the identity, as far as its form says."""
    if 0 in operator.domain.shape and 0 in operator.codomain.shape:
        return "any"
    if isinstance(operator, Identity):
        return 1.0
    if isinstance(operator, Scale) and isinstance(operator.operator, Identity):
        return operator.scalar
    if isinstance(operator, Diagonal) and np.all(operator.entries == operator.entries.flat[0]):
        return operator.entries.flat[0].item()
    return None


def _product(left: Any, right: Any, space: DistributedSpace) -> Any:
    """Return the number of a product of two operators of these numbers; None where it over- or underflows."""
    if left is None or right is None:
        return None
    return "any" if "any" in (left, right) else product(left, right, space)


def _require_one_for_replicas(domain: DistributedSpace, operators: Sequence[str]) -> None:
    """Raise, on all ranks, unless replicas have the same operator, as far as its contents can be compared."""
    for rank, words in enumerate(operators):
        first = domain.layout.counted_rank(rank)
        if words != operators[first]:
            found = tell_apart({first: operators[first], rank: words})
            raise AgreementError(f"Local on {domain}: replicas need the same operator; {found}")


def _check(domain: DistributedSpace, codomain: DistributedSpace, operator: LinearOperator) -> None:
    """Raise unless the operator maps what this rank holds of one space to what it holds of the other."""
    where = f"Local : {domain} -> {codomain}"
    if domain.grid != codomain.grid:
        raise SpaceError(f"{where}: expected one grid, found {domain.grid} and {codomain.grid}")
    for name in domain.roles:
        if domain.roles[name].replicated != codomain.roles[name].replicated:
            raise SpaceError(f"{where}: along {name!r}, expected both or neither to be replicated")
    if not isinstance(operator, LinearOperator):
        raise ArgumentTypeError(f"{where}: expected a linear operator, found {operator!r}")
    if (operator.domain.shape, operator.codomain.shape) != (domain.shape, codomain.shape):
        raise SpaceError(
            f"{where}: this rank needs an operator from shape {domain.shape} to {codomain.shape}, found {operator!r}"
        )
    if operator.domain.field != domain.field:
        raise SpaceError(f"{where}: the operator {operator!r} has another field")


# -- what they cost ----------------------------------------------------------------------------------------------------


@cost.register
def _(operator: Local) -> Cost:
    return Cost(max(each.flops for each in operator.costs), max(each.bytes for each in operator.costs))


@cost_table.register
def _(operator: Local) -> np.ndarray:
    return np.array([[each.flops, each.bytes, 0, 0] for each in operator.costs], object).T


@cost_on.register
def _(operator: Local, *, relaid: Relay) -> ParallelCost:
    return share(cost(operator), max((operator.codomain, operator.domain), key=held), relaid)


# -- rules -------------------------------------------------------------------------------------------------------------


@rule(Local, Local)
def two_locals(left: Local, right: Local) -> LinearOperator | None:
    """``diag(A_i) diag(B_i) = diag(A_i B_i)``."""
    return left.after(right)


@rule(Local)
def number(node: Local) -> LinearOperator | None:
    """``diag(c I) = c I``: where every rank multiplies by the same number, it comes to the front."""
    return None if node.number is None or node.domain != node.codomain else scale(node.number, Identity(node.domain))


@rule(Local, LinearOperator)
def number_before(left: Local, right: LinearOperator) -> LinearOperator | None:
    """``diag(c I) A = c A``."""
    return None if left.number is None or left.domain != left.codomain else scale(left.number, right)


@rule(LinearOperator, Local)
def number_after(left: LinearOperator, right: Local) -> LinearOperator | None:
    """``A diag(c I) = A c``, which is ``c A`` where c commutes with A."""
    if right.number is None or right.domain != right.codomain:
        return None
    commutes = not isinstance(right.number, complex) or left.codomain.field == "complex"
    return scale(right.number, left) if commutes and is_moderate(right.number, left.codomain) else None


@rule(Local)
def inside(node: Local) -> LinearOperator | None:
    """What a rank does by itself is simplified by itself."""
    simpler = node.simplified()
    return None if simpler == node else simpler


@rule(Sum)
def sum_of_locals(node: Sum) -> LinearOperator | None:
    """``a diag(A_i) + b diag(B_i) = diag(a A_i + b B_i)``; an identity is one of them."""
    chosen = [term for term in node.terms if isinstance(_inner(term), Local | Identity)]
    total = summed(chosen) if len(chosen) > 1 else None
    rest = [term for term in node.terms if not isinstance(_inner(term), Local | Identity)]
    return None if total is None else reduce(add, [total, *rest])


def _inner(term: LinearOperator) -> LinearOperator:
    """Return a term without its number."""
    return term.operator if isinstance(term, Scale) and term.commutes else term


@rule(Scale)
def number_inside(node: Scale) -> LinearOperator | None:
    """``c diag(A_i) = diag(c A_i)``, where A_i has constants that take the number in."""
    factors = node.operator.factors if isinstance(node.operator, Compose) else (node.operator,)
    near = None if is_moderate(node.scalar, node.codomain) else 1  # a number that is not moderate stays where it is
    for k, factor in enumerate(factors[:near] if node.commutes else ()):
        if isinstance(factor, Local):
            scaled = lifted(factor.domain, factor.codomain, simplify(scale(node.scalar, factor.operator)))
            if cost(scaled) <= cost(factor):  # there are constants that took it in
                return reduce(compose, (*factors[:k], scaled, *factors[k + 1 :]))
    return None
