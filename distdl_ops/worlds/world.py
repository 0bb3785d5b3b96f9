"""What an operator may ask of the processes it runs on."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar, final

from distdl_ops.worlds.buffers import Lent, addends, bits, hosted
from distdl_ops.worlds.call import Caller, Number
from distdl_ops.worlds.workspace import Workspace
from linop.arrays import Array
from linop.errors import ProcessError

T = TypeVar("T")


class DeadlockError(ProcessError, RuntimeError):
    """Ranks wait for messages that nobody will send: the others have ended, or wait as well."""


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

    Every method but `sub` and `fail` is collective over the ranks of the world: all of them call it, in the same order.
    `what` says in words which operation it is, with everything that must be the same on all ranks; when it differs, or
    an operation is another one, or belongs to another call (see `distdl_ops.worlds.call`), or a piece has another size
    than the buffer that it is for, all ranks raise the same `AgreementError`, and the world can be used again.

    A world belongs to the thread that made it; another one that uses it gets a RuntimeError.

    Buffers are arrays of any array API library in row-major order, with entries of the dtypes in
    `distdl_ops.worlds.buffers`. Sums of half precision are made in single precision and rounded once.

    Attributes
    ----------
    rank : int
        This rank, from 0.
    size : int
        How many ranks there are.
    traffic : Traffic
        What this rank has sent in this world and its sub-worlds.
    caller : Caller
        Who uses this world and its sub-worlds: a thread, and the call that it is in.

    Examples
    --------
    >>> from distdl_ops import simulate
    >>> simulate(3, lambda world: (world.rank, world.size, world.allgather(world.rank**2, "squares")))
    [(0, 3, [0, 1, 4]), (1, 3, [0, 1, 4]), (2, 3, [0, 1, 4])]
    """

    rank: int
    size: int
    traffic: Traffic
    caller: Caller
    _functions: Number = (0, 0)
    _tensors: Number = (0, 0)

    @property
    @abstractmethod
    def failures(self) -> int:
        """How often the ranks have raised an error together, and begun anew."""

    @property
    def hosts(self) -> tuple[int, ...]:
        """The host of each rank, numbered in the order of ranks. Between ranks of one host, messages cross no link."""
        return (0,) * self.size

    def keep_moving(self) -> None:  # noqa: B027  (simulated ranks need nothing)
        """Let messages that are under way move while this rank computes, until they have been waited for."""

    def number_function(self) -> Number:
        """Return the number of a new function: all ranks of the world make their functions in the same order."""
        failures, count = self._functions
        self._functions = self.failures, 1 + (count if failures == self.failures else 0)
        return self._functions

    def number_tensor(self) -> Number:
        """Return the number of a new distributed tensor: all ranks of the world make theirs in the same order."""
        failures, count = self._tensors
        self._tensors = self.failures, 1 + (count if failures == self.failures else 0)
        return self._tensors

    @functools.cached_property
    def workspace(self) -> Workspace:
        """Memory of this rank for what is packed."""
        return Workspace()

    @abstractmethod
    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return the world of some of the ranks; None on a rank that is not among them.

        The same object for the same ranks.

        Parameters
        ----------
        ranks : sequence of int
            Ranks of this world. They are renumbered 0, 1, ... in this order.
        """

    @abstractmethod
    def fail(self, error: Exception) -> NoReturn:
        """Raise an error that keeps this rank from going on, and make all ranks of the job raise.

        The others raise when they wait for another rank the next time: the same error when theirs is the same, else one
        that says what each rank has. Then the world can be used again.

        Parameters
        ----------
        error : Exception
            To be raised. Of a type that is built from its message alone.
        """

    @final
    def _refuse(self, error: Exception) -> NoReturn:
        """Raise the error of an argument on all ranks; see `linop.arguments.refuse`."""
        self.fail(error)

    def _memory(self, buffer: Array) -> Lent:
        """Return the memory of a buffer: in the host's, unless an engine carries others as well."""
        return hosted(buffer)

    def _lent(self, lend: Callable[[Array, Callable[[Array], Lent]], Lent], buffer: Array, what: str) -> Lent:
        """Return the memory of a buffer; let all ranks raise when it has none for us."""
        try:
            return lend(buffer, self._memory)
        except (TypeError, ValueError) as error:
            self.fail(type(error)(f"{what}: {error}"))

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
            Which operation it is.
        """

    @final
    def broadcast(self, buffer: Array, root: int, what: str) -> None:
        """Copy the root's buffer into everyone's.

        Parameters
        ----------
        buffer : array, any shape
            Of one size and dtype on all ranks.
        root : int
            The rank whose buffer it is.
        what : str
            Which operation it is.
        """
        memory, land = self._lent(bits, buffer, what)
        self.traffic.collectives += self.size > 1
        self._broadcast(memory, root, what)
        if land is not None and self.rank != root:
            land()

    @final
    def reduce(self, x: Array, y: Array | None, root: int, what: str) -> None:
        """Put the sum of everyone's `x` into the root's `y`; None elsewhere.

        Parameters
        ----------
        x, y : array, any shape
            Of one size and dtype on all ranks.
        root : int
            The rank that receives the sum.
        what : str
            Which operation it is.
        """
        addend, _ = self._lent(addends, x, what)
        total, land = (None, None) if y is None else self._lent(addends, y, what)
        self.traffic.collectives += self.size > 1
        self._reduce(addend, total, root, what)
        if land is not None:
            land()

    @final
    def allreduce(self, x: Array, y: Array, what: str) -> None:
        """Put the sum of everyone's `x` into everyone's `y`, the same bits on every rank.

        Parameters
        ----------
        x, y : array, any shape
            Of one size and dtype on all ranks.
        what : str
            Which operation it is.
        """
        addend, _ = self._lent(addends, x, what)
        total, land = self._lent(addends, y, what)
        self.traffic.collectives += self.size > 1
        self._allreduce(addend, total, what)
        if land is not None:
            land()

    @abstractmethod
    def _broadcast(self, memory: Array, root: int, what: str) -> None:
        """Copy the root's entries into everyone's."""

    @abstractmethod
    def _reduce(self, addend: Array, total: Array | None, root: int, what: str) -> None:
        """Put the sum of everyone's addends into the root's total; None elsewhere."""

    @abstractmethod
    def _allreduce(self, addend: Array, total: Array, what: str) -> None:
        """Put the sum of everyone's addends into everyone's total."""

    @abstractmethod
    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's small Python object, in the order of ranks. This is the control plane.

        Parameters
        ----------
        value : object
            This rank's; it can be pickled.
        what : str
            Which operation it is.
        """
