"""What an operator may ask of the processes it runs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from linop.arrays import Array

T = TypeVar("T")


@dataclass
class Traffic:
    """What a rank has sent, counted since the world began.

    Attributes
    ----------
    messages : int
        Pieces sent to other ranks by an exchange.
    bytes : int
        Bytes in these pieces.
    collectives : int
        Broadcasts, reductions and all-reductions over more than one rank that this rank took part in.
    """

    messages: int = 0
    bytes: int = 0
    collectives: int = 0


class Exchange(ABC):
    """An exchange of pieces that has started. Work may go on until `finish`."""

    @abstractmethod
    def finish(self) -> None:
        """Wait until every piece has arrived in its buffer and every sent buffer may be changed again."""


class World(ABC):
    """A group of ranks, seen by one of them. Abstract: `distdl_ops.simulate` and `distdl_ops.world` make worlds.

    Every method but `sub` is collective over the ranks of the world: all of them call it, in the same order. `what`
    names the operator that asks; errors repeat it. Buffers are arrays of any array API library in row-major order.

    Attributes
    ----------
    rank : int
        This rank, from 0.
    size : int
        How many ranks there are.
    traffic : Traffic
        What this rank has sent in this world and its sub-worlds.
    """

    rank: int
    size: int
    traffic: Traffic

    @abstractmethod
    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return the world of some of the ranks; None on a rank that is not among them.

        Collective over `ranks` when called for the first time; the same object afterwards.

        Parameters
        ----------
        ranks : sequence of int
            Ranks of this world. They are renumbered 0, 1, ... in this order.
        """

    @abstractmethod
    def exchange(
        self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]], what: str
    ) -> Exchange:
        """Start to send pieces to some ranks and to receive pieces from some, at most one for each.

        Collective only in that what is sent is received. A rank without pieces need not wait for anyone.

        Parameters
        ----------
        sends : sequence of (rank, buffer)
            What goes to whom. The buffers must not change until the exchange has finished.
        receives : sequence of (rank, buffer)
            What comes from whom; a buffer has the size and dtype of what was sent.
        what : str
            Who asks.
        """

    @abstractmethod
    def broadcast(self, buffer: Array, root: int, what: str) -> None:
        """Copy the root's buffer into everyone's."""

    @abstractmethod
    def reduce(self, buffer: Array, root: int, what: str) -> None:
        """Add everyone's buffer into the root's. What the others' buffers hold afterwards is not defined."""

    @abstractmethod
    def allreduce(self, buffer: Array, what: str) -> None:
        """Replace everyone's buffer by the sum, the same bits on every rank."""

    @abstractmethod
    def agree(self, number: int, what: str) -> bool:
        """Say whether everyone has the same number of 32 bits: the same answer everywhere, with little traffic."""

    @abstractmethod
    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's small Python object, in the order of ranks. This is the control plane."""
