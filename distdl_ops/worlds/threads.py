"""Simulated ranks: one thread for each, and one of them running at a time.

A rank runs until it waits for a message that is not there; then the next rank that can go on takes over, in the order
of ranks. So a program runs the same way every time, and a deadlock is seen at once: nobody can go on, and everybody
raises, told who waited for what.
"""

from __future__ import annotations

import math
import operator
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np

from distdl_ops.worlds.agreement import AgreementError, Line, inside, line_of, overtaken, raise_found, story
from distdl_ops.worlds.buffers import bits, dtype_name, nbytes
from distdl_ops.worlds.call import Call, Caller, in_call
from distdl_ops.worlds.world import DeadlockError, Exchange, Traffic, World
from linop import arrays
from linop.arrays import Array

T = TypeVar("T")

Name = tuple[str, Call | None]
"""What an operation is called, and the call that it belongs to."""

MOST_RANKS = 1024
"""How many ranks are simulated at most: each is a thread."""


class RankFailedError(RuntimeError):
    """Raised on a simulated rank when another one failed, so that no rank is left waiting."""


def simulate(size: int, main: Callable[[World], T]) -> list[T]:
    """Run ``main(world)`` on simulated ranks in this process.

    Parameters
    ----------
    size : int
        Number of ranks.
    main : callable
        The program of every rank. It takes the rank's `World`.

    Returns
    -------
    list
        What `main` returned, in the order of ranks.

    Raises
    ------
    DeadlockError
        When no rank can go on.
    Exception
        What the first rank to fail raised.

    Examples
    --------
    >>> simulate(3, lambda world: world.rank)
    [0, 1, 2]
    """
    try:
        size = operator.index(size)
    except TypeError:
        raise ValueError(f"simulate: the number of ranks must be a whole number, found {size!r}") from None
    if not 1 <= size <= MOST_RANKS:
        raise ValueError(f"simulate: the number of ranks must be from 1 to {MOST_RANKS}, found {size}")
    if size == 1:
        return [main(single_rank())]
    simulation = _Simulation(size)
    results: dict[int, T] = {}

    def run(rank: int) -> None:
        try:
            simulation.wait_for_turn(rank)
            results[rank] = main(_ThreadWorld(simulation, tuple(range(size)), rank, Traffic(), Caller(rank), {}))
        except BaseException as error:  # it is raised again below, in the caller's thread
            simulation.fail(rank, error)
        finally:
            simulation.leave(rank)

    threads = [threading.Thread(target=run, args=(rank,), name=f"rank {rank}", daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    simulation.start()
    for thread in threads:
        thread.join()
    if simulation.failure is not None:
        rank, error = simulation.failure
        if not isinstance(error, DeadlockError):
            error.add_note(f"raised on simulated rank {rank} of {size}")
        raise error
    return [results[rank] for rank in range(size)]


def single_rank() -> World:
    """Return a world of one rank, in the calling thread."""
    return _ThreadWorld(_Simulation(1), (0,), 0, Traffic(), Caller(0), {})


class _Simulation:
    """What the simulated ranks share: their mailboxes, and whose turn it is.

    Only the rank whose turn it is touches anything here, so no lock is needed. When a rank cannot go on, every other
    one says what it is doing as soon as it waits; when all have, mailboxes are emptied, and everyone raises the same.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.turns = [threading.Semaphore(0) for _ in range(size)]
        self.mailboxes: dict[object, tuple[Name, Any]] = {}
        self.waiting: dict[int, tuple[object, str]] = {}
        self.running = set(range(size))
        self.lines: dict[int, Line] = {}
        self.verdicts: dict[int, Exception] = {}
        self.failures = 0
        self.failure: tuple[int, BaseException] | None = None

    def start(self) -> None:
        """Give rank 0 the first turn."""
        self.turns[0].release()

    def wait_for_turn(self, rank: int) -> None:
        """Sleep until it is this rank's turn."""
        self.turns[rank].acquire()

    def post(self, address: object, what: Name, item: object) -> None:
        """Leave an item for whoever takes from this address: one in all."""
        self.mailboxes[address] = what, item

    def take(self, rank: int, address: object, sender: int, what: Name, number: int) -> Any:
        """Return the item from an address; let others go on until it is there."""
        self._refuse_failed()
        if address not in self.mailboxes:
            self.waiting[rank] = address, f"waits for rank {sender} in {in_call(*what)}"
            self._give_way(rank)
            del self.waiting[rank]
            if address not in self.mailboxes:
                self.raise_together(rank, Line("", inside(in_call(*what), number)))
        found, item = self.mailboxes.pop(address)
        if found != what:
            self.raise_together(rank, Line("AgreementError", inside(in_call(*what), number)))
        return item

    def raise_together(self, rank: int, line: Line) -> NoReturn:
        """Raise what all ranks raise, when every rank that has not ended has said what it is doing."""
        self._refuse_failed()
        self.lines[rank] = line
        self._settle()
        if rank not in self.verdicts:
            self._give_way(rank)
        raise self.verdicts.pop(rank)

    def fail(self, rank: int, error: BaseException) -> None:
        """Note the first failure; every rank that waits raises when its turn comes."""
        if self.failure is None:
            self.failure = rank, error

    def leave(self, rank: int) -> None:
        """Take a rank that has ended out of the round."""
        self.running.discard(rank)
        self.waiting.pop(rank, None)
        self._settle()
        if self.running:
            self._pass_turn(rank)

    def _give_way(self, rank: int) -> None:
        """Let others go on until it is this rank's turn again."""
        self._pass_turn(rank)
        self.wait_for_turn(rank)
        if rank in self.verdicts:
            self.waiting.pop(rank, None)
            raise self.verdicts.pop(rank)
        if self.failure is not None:
            raise RankFailedError(self._story())

    def _settle(self) -> None:
        """Make everyone raise, once all ranks have said why."""
        if self.lines and self.lines.keys() >= self.running:
            ended = {rank: Line("", "has ended") for rank in range(self.size) if rank not in self.lines}
            error = story({**ended, **self.lines})
            self.verdicts = {rank: type(error)(str(error)) for rank in self.lines}
            self.lines = {}
            self.failures += 1
            self.mailboxes.clear()

    def _pass_turn(self, rank: int) -> None:
        """Give the turn to the next rank that can go on; where there is none, let all of them raise."""
        order = [(rank + k) % self.size for k in range(1, self.size + 1)]
        candidates = [other for other in order if other in self.running]
        ready = [other for other in candidates if self._can_go_on(other)]
        if not ready and self.lines:  # those that wait have to say so
            ready = [other for other in candidates if other not in self.lines]
        if not ready:
            kind = "AgreementError" if len(self.running) == self.size else "DeadlockError"
            self.lines = {other: Line(kind, told) for other, (_, told) in self.waiting.items()}
            self._settle()
            ready = candidates
        self.turns[ready[0]].release()

    def _refuse_failed(self) -> None:
        """Raise when another rank has failed."""
        if self.failure is not None:
            raise RankFailedError(self._story())

    def _can_go_on(self, rank: int) -> bool:
        if self.failure is not None or rank in self.verdicts:
            return True
        if rank in self.lines:
            return False
        return bool(rank not in self.waiting or self.waiting[rank][0] in self.mailboxes)

    def _story(self) -> str:
        """Say why the other ranks stop."""
        assert self.failure is not None
        rank, error = self.failure
        return f"rank {rank} failed: {type(error).__name__}: {error}"


class _Operation:
    """An operation that this rank has begun: the mailboxes are those of its number, on all ranks of the group."""

    def __init__(self, world: _ThreadWorld, what: str) -> None:
        self.world, self.what = world, (what, world.caller.call)
        self.failures, self.number = world.enter()

    def post(self, receiver: int, item: object) -> None:
        """Leave an item for another rank of the group."""
        world = self.world
        world.simulation.post((self.number, world.ranks, world.rank, receiver), self.what, item)

    def take(self, sender: int) -> Any:
        """Wait for the item from another rank of the group."""
        world = self.world
        if self.failures != world.simulation.failures:
            world.fail(overtaken(in_call(*self.what)))
        address, me = (self.number, world.ranks, sender, world.rank), world.ranks[world.rank]
        return world.simulation.take(me, address, world.ranks[sender], self.what, self.number)

    def land(self, buffer: Array, sender: int) -> None:
        """Fill a buffer with the piece from another rank, which must have its size and dtype."""
        piece = self.take(sender)
        sent, expected = (f"{math.prod(x.shape)} entries of {dtype_name(x)}" for x in (piece, buffer))
        if sent != expected:
            here = self.world.rank
            self.world.fail(
                AgreementError(f"{in_call(*self.what)}: rank {sender} has {sent}, rank {here} has {expected}")
            )
        buffer[...] = arrays.reshape(piece, tuple(buffer.shape))

    def add_up(self, addend: np.ndarray, total: np.ndarray) -> None:
        """Make a buffer the sum over all ranks, added in the order of ranks."""
        total[...] = 0
        for rank in range(self.world.size):
            piece = addend if rank == self.world.rank else np.empty_like(addend)
            if rank != self.world.rank:
                self.land(piece, rank)
            total += piece


class _ThreadExchange(Exchange):
    """Pieces that are in the mailboxes, and those still to be taken out."""

    def __init__(self, operation: _Operation, receives: Sequence[tuple[int, Array]]) -> None:
        self._operation, self._receives = operation, receives

    def finish(self) -> None:
        """Take the pieces out."""
        self._operation.world.caller.require_thread()
        for sender, buffer in self._receives:
            self._operation.land(buffer, sender)


class _ThreadWorld(World):
    """A group of simulated ranks, seen by one of them.

    Parameters
    ----------
    simulation : _Simulation
        What the ranks share.
    ranks : tuple of int
        Their numbers in the simulation.
    rank : int
        This one's number in the group.
    traffic : Traffic
        Where to count.
    caller : Caller
        This rank's thread.
    worlds : dict
        This rank's worlds by their groups.
    """

    def __init__(
        self,
        simulation: _Simulation,
        ranks: tuple[int, ...],
        rank: int,
        traffic: Traffic,
        caller: Caller,
        worlds: dict[tuple[int, ...], _ThreadWorld],
    ) -> None:
        self.simulation, self.ranks = simulation, ranks
        self.rank, self.size, self.traffic, self.caller = rank, len(ranks), traffic, caller
        self._worlds = worlds
        self._failures = self._count = 0
        worlds[ranks] = self

    @property
    def failures(self) -> int:
        """How often the ranks have raised an error together; see `World.failures`."""
        return self.simulation.failures

    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return the world of some of the ranks; see `World.sub`."""
        group, me = tuple(self.ranks[rank] for rank in ranks), self.ranks[self.rank]
        if me not in group:
            return None
        found = self._worlds.get(group)
        if found is None:
            found = _ThreadWorld(self.simulation, group, group.index(me), self.traffic, self.caller, self._worlds)
        return found

    def enter(self) -> tuple[int, int]:
        """Begin an operation; return how often ranks have failed before, and its number since."""
        self.caller.require_thread()
        if self._failures != self.simulation.failures:
            self._failures, self._count = self.simulation.failures, 0
        self._count += 1
        return self._failures, self._count

    def fail(self, error: Exception) -> NoReturn:
        """Raise an error, and make all ranks raise; see `World.fail`."""
        self.caller.require_thread()
        try:
            self.simulation.raise_together(self.ranks[self.rank], line_of(error))
        except Exception as found:
            raise_found(found, error)

    def exchange(
        self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]], what: str
    ) -> Exchange:
        """Start to send and receive pieces; see `World.exchange`."""
        for _, buffer in (*sends, *receives):
            self._lent(bits, buffer, what)
        operation = _Operation(self, what)
        for receiver, buffer in sends:
            operation.post(receiver, arrays.copy(buffer))
            self.traffic.messages += 1
            self.traffic.bytes += nbytes(buffer)
        return _ThreadExchange(operation, receives)

    def _broadcast(self, memory: np.ndarray, root: int, what: str) -> None:
        operation = _Operation(self, what)
        if self.rank == root:
            for other in self._others():
                operation.post(other, memory.copy())
        else:
            operation.land(memory, root)

    def _reduce(self, addend: np.ndarray, total: np.ndarray | None, root: int, what: str) -> None:
        operation = _Operation(self, what)
        if total is None:
            operation.post(root, addend.copy())
        else:
            operation.add_up(addend, total)

    def _allreduce(self, addend: np.ndarray, total: np.ndarray, what: str) -> None:
        operation = _Operation(self, what)
        for other in self._others():
            operation.post(other, addend.copy())
        operation.add_up(addend, total)

    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's object; see `World.allgather`."""
        pickled = pickle.dumps(value)  # as between processes: everyone gets an object of their own
        operation = _Operation(self, what)
        for other in self._others():
            operation.post(other, pickled)
        return [pickle.loads(pickled if rank == self.rank else operation.take(rank)) for rank in range(self.size)]

    def _others(self) -> list[int]:
        return [rank for rank in range(self.size) if rank != self.rank]
