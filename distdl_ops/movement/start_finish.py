r"""The two halves of a movement: messages leave, and messages arrive.

=========  ==========================================================
map        Start is :math:`E_S^*`: what the ranks hold is added into the logical tensor, which is in flight to T then.
           Finish is :math:`E_T`: the ranks of T cut out of it what they hold
adjoint    ``Start(S, T).H == Finish(T, S)`` and ``Finish(S, T).H == Start(T, S)``
matrix     those of the embeddings, that of S transposed: ones and zeros, in E one column for each entry of the tensor
=========  ==========================================================

``Finish(S, T) @ Start(S, T)`` is the movement ``M(S, T)``. Work that stands between the two is done while messages
travel; its adjoint is done while those of the adjoint travel, for ``(Finish @ Start).H == Start.H @ Finish.H``.
"""

from __future__ import annotations

import functools
import math
from abc import abstractmethod
from typing import TypeVar, final

import numpy as np

from distdl_ops.advice.cost import ParallelCost, Relay, as_laid_out, cost_on, cost_table, entries_by_rank, traffic
from distdl_ops.advice.movement_cost import exchange_cost, exchange_costs, exchange_traffic
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.movement.in_flight import Departed, InFlight
from distdl_ops.movement.movement import Movement
from distdl_ops.spaces import DistributedSpace
from distdl_ops.transfer.operation_name import OperationName
from distdl_ops.transfer.plan import Plan
from distdl_ops.worlds.world import Traffic
from linop import LinearOperator, Space, SpaceError, cost, rule
from linop.arguments import checked
from linop.arrays import Array

H = TypeVar("H", bound="_Half")


class _Half(LinearOperator):
    """A half of a movement. Abstract."""

    @checked
    def __init__(self, source: DistributedSpace, target: DistributedSpace) -> None:
        self._lie_between(Movement(source, target))

    def _lie_between(self, movement: Movement) -> None:
        S, T = movement.domain, movement.codomain
        super().__init__(*self._spaces(S, InFlight(S, T), T))
        self.movement = movement

    @staticmethod
    @abstractmethod
    def _spaces(source: DistributedSpace, in_flight: InFlight, target: DistributedSpace) -> tuple[Space, Space]:
        """Return the domain and the codomain."""

    @property
    @abstractmethod
    def _held(self) -> DistributedSpace:
        """The layout at this end."""

    exact = True

    @property
    def roundings(self) -> int:
        """Number of roundings: one for each rank whose entries may be added up."""
        return self._held.grid.size

    @property
    def gain(self) -> float:
        """The norm: the root of how often an entry is held at most."""
        return math.sqrt(multiplicity(self._held.layout).largest)

    @property
    @abstractmethod
    def dual(self) -> _Half:
        """The other half of the movement back. No communication."""

    def _key(self) -> tuple[object, ...]:
        return (self.movement,)

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.movement})"


@final
class Start(_Half):
    """The start of the data movement ``M(S, T)``. Collective, and does not wait for anyone.

    The movement is an exchange of messages, also where `Movement` would call a collective of the library. The argument
    must not change before the tensor has arrived.

    Parameters
    ----------
    source, target : DistributedSpace
        S and T: the same tensor shape and dtype, on grids over the same world.

    Attributes
    ----------
    movement : Movement
        The whole.

    Raises
    ------
    SpaceError
        When the two spaces lay out different tensors.
    AgreementError
        When the ranks do not pass the same spaces.

    Examples
    --------
    Every entry less its left neighbour. The ranks take what they have while their neighbours' entries travel:

    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, HaloExchange, Local, Split, simulate
    >>> from linop import BlockDiagonal, HStack, Identity, Matrix, Restriction, VStack, check_adjoint
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (6,), p=Split(0))
    ...     T = HaloExchange(S, {0: (1, -S.shape[0])}).codomain  # the left neighbour's last entry, nothing else
    ...     own = Local(S, S, Matrix(np.eye(3) - np.eye(3, k=-1)))
    ...     neighbours = Local(T, S, Matrix(-np.eye(3, T.shape[0])))
    ...     A = (
    ...         HStack(neighbours @ Finish(S, T), Identity(S))
    ...         @ BlockDiagonal(Identity(InFlight(S, T)), own)
    ...         @ VStack(Start(S, T), Identity(S))
    ...     )
    ...     return A(S.from_global(np.arange(6.0) ** 2)).tolist(), bool(check_adjoint(A))
    >>> simulate(2, main)
    [([0.0, 1.0, 3.0], True), ([5.0, 7.0, 9.0], True)]
    """

    domain: DistributedSpace
    codomain: InFlight

    @staticmethod
    def _spaces(source: DistributedSpace, in_flight: InFlight, target: DistributedSpace) -> tuple[Space, Space]:  # noqa: ARG004
        return source, in_flight

    @property
    def _held(self) -> DistributedSpace:
        return self.domain

    @property
    def dual(self) -> Finish:
        """The end of the movement back. No communication."""
        return _half(Finish, self.movement.dual)

    @functools.cached_property
    def _plan(self) -> Plan:
        world = self._held.grid.world
        return Plan(self.movement.domain.layout, self.movement.codomain.layout, world.rank)

    @functools.cached_property
    def _operation(self) -> OperationName:
        return OperationName(repr(self), self.domain.ndim)

    def _apply(self, x: Array) -> Departed:
        transfer = self._plan.start(x, self.domain.grid.world, self._operation.of(x))
        return Departed(transfer, self.movement, self.domain.batch(x))


@final
class Finish(_Half):
    """The end of the data movement ``M(S, T)``. Collective: waits for the ranks that have something to send.

    Parameters
    ----------
    source, target : DistributedSpace
        S and T, as in `Start`.

    Attributes
    ----------
    movement : Movement
        The whole.

    Raises
    ------
    SpaceError
        When the two spaces lay out different tensors; when it is applied to what is on its way from T to S, or has
        arrived already.
    AgreementError
        When the ranks do not pass the same spaces.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (4,), p=Split(0))
    ...     T = S.with_roles(p=Copies())
    ...     under_way = Start(S, T)(S.from_global(np.arange(4.0)))
    ...     return Finish(S, T)(under_way).tolist(), Finish(S, T).H == Start(T, S)
    >>> simulate(2, main)[0]
    ([0.0, 1.0, 2.0, 3.0], True)
    """

    domain: InFlight
    codomain: DistributedSpace

    @staticmethod
    def _spaces(source: DistributedSpace, in_flight: InFlight, target: DistributedSpace) -> tuple[Space, Space]:  # noqa: ARG004
        return in_flight, target

    @property
    def _held(self) -> DistributedSpace:
        return self.codomain

    @property
    def dual(self) -> Start:
        """The start of the movement back. No communication."""
        return _half(Start, self.movement.dual)

    def _apply(self, x: Departed) -> Array:
        if x.movement != self.movement:
            self.domain._refuse(SpaceError(f"{self!r}: found a tensor that is in flight by {x.movement!r}"))
        return x.arrive()


def _half(kind: type[H], movement: Movement) -> H:
    """Return a half of a movement that was agreed on."""
    half = object.__new__(kind)
    half._lie_between(movement)
    return half


# -- what they cost ----------------------------------------------------------------------------------------------------

cost.register(_Half, as_laid_out)


def _ends(operator: _Half) -> tuple[Layout, Layout, int]:
    """Return the layouts of the movement, and the bytes of an entry."""
    source = operator.movement.domain
    return source.layout, operator.movement.codomain.layout, source.dtype.itemsize


@cost_on.register
def _(operator: Start, *, relaid: Relay) -> ParallelCost:
    """Return the messages of the exchange: they are counted at the start, additions at the end."""
    source, target, itemsize = _ends(operator)
    source, target = relaid(source), relaid(target)
    _, messages, sent = exchange_cost(source, target)
    return ParallelCost(0, itemsize * source.largest_part, messages, itemsize * sent)


@cost_on.register
def _(operator: Finish, *, relaid: Relay) -> ParallelCost:
    source, target, itemsize = _ends(operator)
    source, target = relaid(source), relaid(target)
    return ParallelCost(exchange_cost(source, target)[0], itemsize * target.largest_part)


@cost_table.register
def _(operator: Start) -> np.ndarray:
    source, target, itemsize = _ends(operator)
    entries = entries_by_rank(operator.domain)
    _, messages, sent = exchange_costs(source, target, entries.size)
    return np.stack([0 * entries, itemsize * entries, messages, itemsize * sent])


@cost_table.register
def _(operator: Finish) -> np.ndarray:
    source, target, itemsize = _ends(operator)
    entries = entries_by_rank(operator.codomain)
    adds, _, _ = exchange_costs(source, target, entries.size)
    return np.stack([adds, itemsize * entries, 0 * entries, 0 * entries])


@traffic.register
def _(operator: Start) -> list[Traffic]:
    """Return all messages: an exchange, also where a movement would go by a collective."""
    return exchange_traffic(*_ends(operator), operator.domain.grid.world.size)


# -- rules -------------------------------------------------------------------------------------------------------------


@rule(Finish, Start)
def no_work_between(left: Finish, right: Start) -> LinearOperator | None:
    """``E_T E_S* = M(S, T)``: without work between start and finish, they are one movement."""
    return left.movement if left.movement == right.movement else None
