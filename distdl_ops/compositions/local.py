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

from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import Compose, Cost, Diagonal, Identity, LinearOperator, Scale, SpaceError, claims, cost, parts, simplify
from linop.arguments import checked
from linop.arrays import Array, Scalar
from linop.claims import Claims
from linop.core.scale import scale
from linop.core.sum import add
from linop.errors import ArgumentTypeError
from linop.keyed import Keyed
from linop.numbers import gain_of, product


@final
class Local(LinearOperator):
    """The operator that applies one operator on each rank, without communication. Collective to build.

    Parameters
    ----------
    domain, codomain : DistributedSpace
        On the same grid. Along each axis both are replicated or neither is: making a replicated vector from
        independent ones, or back, needs a `Movement`.
    operator : LinearOperator
        This rank's: from a space of ``domain.shape`` to one of ``codomain.shape``. Replicas need the same operator;
        `linop.check_adjoint` finds it when they do not.

    Raises
    ------
    SpaceError
        When operators and spaces do not fit.
    AgreementError
        When they do not fit on some ranks only.

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
        told, self._numbers = _tell(operator)
        self._everyone = tuple(world.allgather(told, "Local"))
        super().__init__(domain, codomain)
        self.operator = operator

    @property
    def exact(self) -> bool:
        """Exact where the operator of every rank is."""
        return all(told.exact for told in self._everyone)

    @property
    def roundings(self) -> int:
        """The most of any rank's operator."""
        return max(told.roundings for told in self._everyone)

    @property
    def gain(self) -> float | None:
        """The largest of any rank's operator."""
        gains = [told.gain for told in self._everyone]
        return None if None in gains else max(gain for gain in gains if gain is not None)

    @property
    def claims(self) -> Claims:
        """What the operators of all ranks claim."""
        found = frozenset.intersection(*(told.claims for told in self._everyone))
        return found if self.domain == self.codomain else found & claims.UNITARY

    @property
    def dual(self) -> Local:
        """The adjoints. No communication."""
        told = [told.mirrored() for told in self._everyone]
        return _lifted(self.codomain, self.domain, self.operator.dual, told, self._numbers)

    @property
    def simple(self) -> bool:
        """Whether the operators of all ranks are known to be as simple as `linop.simplify` makes them."""
        return all(told.simple for told in self._everyone)

    @property
    def number(self) -> Scalar | None:
        """The number c where every rank's operator is c times the identity; None where it is not."""
        numbers = {told.number for told in self._everyone if told.number != "any"}
        return None if len(numbers) > 1 else numbers.pop() if numbers else 1.0

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What the operator of each rank costs."""
        return tuple(told.cost for told in self._everyone)

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
        told = [left.after(right, self.codomain) for left, right in pairs]
        numbers = self._numbers | other._numbers
        return _lifted(other.domain, self.codomain, self.operator @ other.operator, told, numbers)

    def _apply(self, x: Array) -> Array:
        return self.operator._apply(x)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, tuple(told.identity for told in self._everyone))

    def __str__(self) -> str:
        return f"Local({self.operator})"


def lifted(
    domain: DistributedSpace, codomain: DistributedSpace, operator: LinearOperator, *, simple: bool = False
) -> Local:
    """Return ``Local(domain, codomain, operator)`` of operators that are known to fit; `simple`, to be simplified.

    Collective: each rank tells of its operator.
    """
    told, numbers = _tell(operator, simple=simple)
    return _lifted(domain, codomain, operator, domain.grid.world.allgather(told, "Local"), numbers)


def summed(terms: Sequence[LinearOperator]) -> Local | None:
    """Return the sum of multiples of local operators and identities as one; None where not all ranks can add.

    Collective.
    """
    split = [(term.scalar, term.operator) if isinstance(term, Scale) else (1.0, term) for term in terms]
    locals_ = [term for _, term in split if isinstance(term, Local)]
    if not locals_:
        return None
    first = locals_[0]
    ends = [told.ends for told in first._everyone]
    square = all(domain == codomain for domain, codomain in ends)
    if any([told.ends for told in term._everyone] != ends for term in locals_) or (
        len(locals_) < len(terms) and not square
    ):
        return None
    identity = Identity(first.operator.domain)
    own = [scale(number, term.operator if isinstance(term, Local) else identity) for number, term in split]
    return lifted(first.domain, first.codomain, reduce(add, own))


def _lifted(
    domain: DistributedSpace,
    codomain: DistributedSpace,
    operator: LinearOperator,
    told: list[_Told],
    numbers: frozenset[_Number],
) -> Local:
    """Return ``Local(domain, codomain, operator)`` of operators that are known to fit, without communication."""
    found = object.__new__(Local)
    LinearOperator.__init__(found, domain, codomain)
    found._everyone, found.operator, found._numbers = tuple(told), operator, numbers
    return found


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
            found = cls._numbers.get(thing)
            if found is None:
                found = cls._numbers[thing] = cls(next(cls._next))
            return found


class _Told(NamedTuple):
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

    def mirrored(self) -> _Told:
        """Return what the rank tells of the adjoint."""
        number = self.number.conjugate() if isinstance(self.number, complex) else self.number
        return self._replace(
            claims=claims.mirrored(self.claims),
            identity=self.mirror,
            mirror=self.identity,
            ends=self.ends[::-1],
            number=number,
        )

    def after(self, other: _Told, space: DistributedSpace) -> _Told:
        """Return what the rank tells of the product, to a space, with another operator, which was applied before."""
        kept = claims.UNITARY | {claims.DIAGONAL}
        return _Told(
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


def _tell(operator: LinearOperator, *, simple: bool = False) -> tuple[_Told, frozenset[_Number]]:
    """Return what is told of an operator, and the numbers in it, to be kept; `simple`, where it was simplified."""
    dual = operator.dual
    identity = [_Number.of(factor) for factor in _factors(operator)]
    mirror = identity if dual is operator else [_Number.of(factor) for factor in _factors(dual)]
    ends = _Number.of(operator.domain), _Number.of(operator.codomain)
    told = _Told(
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
    return told, frozenset((*identity, *mirror, *ends))


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
