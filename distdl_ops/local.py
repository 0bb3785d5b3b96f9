"""Rank-local operators, lifted to all ranks.

=========  ==========================================================
map        every rank applies its own operator to what it holds
adjoint    every rank applies its own adjoint
matrix     block diagonal
=========  ==========================================================
"""

from __future__ import annotations

from typing import NamedTuple, final

from distdl_ops.roles import Replicated
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import LinearOperator, SpaceError, claims
from linop.arrays import Array
from linop.claims import Claims


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

    def __init__(self, domain: DistributedSpace, codomain: DistributedSpace, operator: LinearOperator) -> None:
        require_spaces("Local", domain, codomain)
        world = domain.grid.world
        agreed(world, "Local", lambda: _check(domain, codomain, operator), lambda _: f"{domain!r} -> {codomain!r}")
        # Ranks may hold different operators, but must decide alike: what they ask of this one is known of all of them.
        told = world.allgather(_tell(operator), "Local")
        self._everyone = tuple(told)
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
        mirrored = object.__new__(Local)
        LinearOperator.__init__(mirrored, self.codomain, self.domain)
        mirrored._everyone = tuple(told.mirrored() for told in self._everyone)
        mirrored.operator = self.operator.dual
        return mirrored

    def _apply(self, x: Array) -> Array:
        return self.operator._apply(x)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, tuple(told.identity for told in self._everyone))

    def __str__(self) -> str:
        return f"Local({self.operator})"


class _Told(NamedTuple):
    """What a rank tells the others of its operator.

    Two operators of one rank are the same where their hashes are, which that rank alone can compute.
    """

    exact: bool
    roundings: int
    gain: float | None
    claims: Claims
    identity: int
    mirror: int

    def mirrored(self) -> _Told:
        """Return what the rank tells of the adjoint."""
        return self._replace(claims=claims.mirrored(self.claims), identity=self.mirror, mirror=self.identity)


def _tell(operator: LinearOperator) -> _Told:
    """Return what is told of an operator."""
    identity, mirror = hash(operator), hash(operator.dual)
    return _Told(operator.exact, operator.roundings, operator.gain, operator.claims, identity, mirror)


def _check(domain: DistributedSpace, codomain: DistributedSpace, operator: LinearOperator) -> None:
    """Raise unless the operator maps what this rank holds of one space to what it holds of the other."""
    where = f"Local : {domain} -> {codomain}"
    if domain.grid != codomain.grid:
        raise SpaceError(f"{where}: expected one grid, found {domain.grid} and {codomain.grid}")
    for name in domain.roles:
        if isinstance(domain.roles[name], Replicated) != isinstance(codomain.roles[name], Replicated):
            raise SpaceError(f"{where}: along {name!r}, expected both or neither to be replicated")
    if not isinstance(operator, LinearOperator):
        raise TypeError(f"{where}: expected a linear operator, found {operator!r}")
    if (operator.domain.shape, operator.codomain.shape) != (domain.shape, codomain.shape):
        raise SpaceError(
            f"{where}: this rank needs an operator from shape {domain.shape} to {codomain.shape}, found {operator!r}"
        )
    if operator.domain.field != domain.field:
        raise SpaceError(f"{where}: the operator {operator!r} has another field")
