"""Simulated ranks: one thread for each, and one of them running at a time.

A rank runs until it waits for a message that is not there; then the rank that has been ready for longest takes over.
So a program runs the same way every time, and a deadlock is seen at once: nobody can go on, and everybody raises, told
who waited for what. Only the rank that a message goes to is woken by it, so that an operation of p ranks costs about p.
"""

from __future__ import annotations

import ctypes
import math
import operator
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, final

import numpy as np

from distdl_ops.worlds.agreement import AgreementError, Line, inside, line_of, overtaken, raise_found, story, tell_apart
from distdl_ops.worlds.buffers import Land, bits, dtype_name, nbytes
from distdl_ops.worlds.call import Call, Caller, in_call
from distdl_ops.worlds.processes import numbered
from distdl_ops.worlds.rank_state import RankStates
from distdl_ops.worlds.world import DeadlockError, Exchange, Traffic, World
from linop.arguments import checked
from linop.arrays import Array
from linop.errors import ArgumentError, ProcessError, of_all

T = TypeVar("T")

Name = tuple[str, Call | None]
"""What an operation is called, and the call that it belongs to."""

MOST_RANKS = 1024
"""How many ranks are simulated at most: each is a thread."""

MOST_NAMED = 4
"""How many messages that nobody has taken are named in an error."""

GRACE = 0.2
"""Seconds in which ranks end by themselves after an interrupt: at the next operation, or when they wait."""

INTERRUPTS = (0.4, 0.6, 0.8)
"""Seconds after which ranks that compute are interrupted once more."""

FAREWELL = 0.1
"""Seconds for which the caller waits for what is left in the end."""


class RankFailedError(ProcessError, RuntimeError):
    """Raised on a simulated rank when another one failed, so that no rank is left waiting."""


class RankInterrupt(BaseException):
    """Raised on a simulated rank that computes when the caller of `simulate` is interrupted."""


@checked
def simulate(size: int, main: Callable[[World], T]) -> list[T]:
    """Run ``main(world)`` on simulated ranks in this process.

    What the caller has set for its thread holds on every rank, as if each were a process that had begun in the same
    way: context variables, NumPy's error state, filters of warnings, decimal contexts, torch's modes, autocast and
    default dtype. The global generators of NumPy and torch are each rank's own, and all begin where the caller's is.
    Nothing that ranks do to any of this comes back to the caller.

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
    AgreementError
        When all ranks have ended, and a message is left that nobody has taken.
    Exception
        What the first rank to fail raised; or what was raised in the caller's thread, by Ctrl-C or another signal: then
        all ranks end.

    Examples
    --------
    >>> simulate(3, lambda world: world.rank)
    [0, 1, 2]
    """
    try:
        size = operator.index(size)
    except TypeError:
        raise ArgumentError(f"simulate: the number of ranks must be a whole number, found {size!r}") from None
    if not 1 <= size <= MOST_RANKS:
        raise ArgumentError(f"simulate: the number of ranks must be from 1 to {MOST_RANKS}, found {size}")
    simulation = _Simulation(size, RankStates(size))
    everyone = tuple(range(size))
    results: dict[int, T] = {}

    def run(rank: int) -> None:
        try:
            simulation.begin(rank)
            world = _ThreadWorld(simulation, everyone, rank, Traffic(), Caller(rank), {})
            results[rank] = simulation.states.run(rank, lambda: main(world))
        except BaseException as error:  # it is raised again below, in the caller's thread
            simulation.fail(rank, error)
        finally:
            simulation.leave(rank)

    threads = [threading.Thread(target=run, args=(rank,), name=f"rank {rank}", daemon=True) for rank in everyone]
    try:
        for thread in threads:
            thread.start()
        simulation.wait()
    except BaseException as error:
        simulation.stop(threads, error)
        raise
    finally:
        simulation.states.restore()
    for thread in threads:
        thread.join()
    if simulation.failure is not None:
        rank, failure = simulation.failure
        if not isinstance(failure, DeadlockError):
            failure.add_note(f"raised on simulated rank {rank} of {size}")
        raise failure
    simulation.require_nothing_left()
    return [results[rank] for rank in range(size)]


def single_rank() -> World:
    """Return a world of one rank, in the calling thread."""
    return _ThreadWorld(_Simulation(1, None), (0,), 0, Traffic(), Caller(0), {})


@final
class _Meeting:
    """An operation of a group of ranks, from the first rank that begins it until nothing of it is left.

    Ranks are named by their numbers in the simulation.

    Attributes
    ----------
    begun : dict
        Which operation it is for each rank that has begun it: its kind, what it calls itself, and its call.
    pieces : dict
        What is on its way, by sender and receiver.
    shared : dict
        What goes to all ranks, by sender.
    awaited : dict
        Who waits for each rank that has not begun it.
    busy : int
        How many ranks have begun it, and not ended it.
    total : array or None
        The sum of what is shared, when a rank has made it.
    """

    def __init__(self) -> None:
        self.begun: dict[int, tuple[str, str, Call | None]] = {}
        self.pieces: dict[tuple[int, int], Any] = {}
        self.shared: dict[int, Any] = {}
        self.awaited: dict[int, list[int]] = {}
        self.busy = 0
        self.total: np.ndarray | None = None


@final
class _Group:
    """What the ranks of a world share: the operations of each, and those that are under way.

    Parameters
    ----------
    ranks : tuple of int
        Their numbers in the simulation.
    """

    def __init__(self, ranks: tuple[int, ...]) -> None:
        self.ranks = ranks
        self.reset()

    def reset(self) -> None:
        """Forget all operations."""
        self.counts = dict.fromkeys(self.ranks, 0)
        self.meetings: dict[int, _Meeting] = {}


@final
class _Simulation:
    """What the simulated ranks share: their groups, and whose turn it is.

    Only the rank whose turn it is touches anything here, so no lock is needed. A rank that cannot go on is parked until
    another one wakes it. When a rank raises for all, every other one says what it is doing as soon as it waits; when
    all have, nothing is under way any more, and everyone raises the same.
    """

    def __init__(self, size: int, states: RankStates | None) -> None:
        self.size = size
        self.hosts = (0,) * size
        self._states = states
        self._turns = [threading.Lock() for _ in range(size)]  # one that is released is the turn of that rank
        for turn in self._turns[1:] if states else ():
            turn.acquire()
        self._threads: dict[int, int] = {}
        self._ready = deque(range(1, size))
        self._parked: dict[int, str] = {}
        self._running = set(range(size))
        self._done = threading.Lock()  # released when no rank runs; `Thread.join` does not survive an interrupt
        self._done.acquire()
        self._free = False
        self._groups: dict[tuple[int, ...], _Group] = {}
        self._lines: dict[int, Line] = {}
        self._verdicts: dict[int, Exception] = {}
        self.failures = 0
        self.failure: tuple[int | None, BaseException] | None = None

    # -- turns ---------------------------------------------------------------------------------------------------------

    @property
    def states(self) -> RankStates:
        """What each rank has of its own."""
        assert self._states is not None
        return self._states

    def begin(self, rank: int) -> None:
        """Wait for the first turn of a rank, in its thread."""
        if self._threads.setdefault(rank, threading.get_ident()) != threading.get_ident():
            raise RuntimeError(f"simulated rank {rank} has been started twice")
        self._wait_for_turn(rank)
        if self.failure is not None and self.failure[0] is None:  # the caller is interrupted: nothing begins any more
            self._require_no_failure()

    def leave(self, rank: int) -> None:
        """Take a rank that has ended out of the round."""
        if self._threads.get(rank) == threading.get_ident():
            self._running.discard(rank)
            self._settle(rank)
            if not self._running:
                self._done.release()
            elif not self._free:
                self._pass_turn()

    def wait(self, timeout: float = -1) -> bool:
        """Wait until all ranks have ended; say whether they have."""
        return self._done.acquire(timeout=timeout)

    def _wait_for_turn(self, rank: int) -> None:
        """Sleep until it is this rank's turn."""
        self._turns[rank].acquire()
        self.states.put(rank)

    def _pass_turn(self) -> None:
        """Give the turn to the rank that has been ready for longest; where there is none, let ranks raise."""
        if self.failure is not None:
            self._wake(list(self._parked))
        if not self._ready and self._lines:  # those that wait have to say so
            self._wake([rank for rank in sorted(self._parked) if rank not in self._lines][:1])
        if not self._ready:
            kind = "AgreementError" if len(self._running) == self.size else "DeadlockError"
            self._lines = {rank: Line(kind, words) for rank, words in self._parked.items()}
            self._settle(None)
        self._turns[self._ready.popleft()].release()

    def _park(self, rank: int, words: str) -> None:
        """Let others go on until this rank is woken, and its turn comes."""
        self._parked[rank] = words
        self._pass_turn()
        self._wait_for_turn(rank)
        if rank in self._verdicts:
            raise self._verdicts.pop(rank)
        self._require_no_failure()

    def _wake(self, ranks: Sequence[int]) -> None:
        """Let parked ranks go on when their turn comes."""
        for rank in ranks:
            if self._parked.pop(rank, None) is not None:
                self._ready.append(rank)

    def _require_no_failure(self) -> None:
        if self.failure is not None:
            rank, error = self.failure
            who = "the caller of simulate" if rank is None else f"rank {rank}"
            raise RankFailedError(f"{who} failed: {type(error).__name__}: {error}")

    # -- operations ----------------------------------------------------------------------------------------------------

    def group(self, ranks: tuple[int, ...]) -> _Group:
        """Return what ranks share."""
        return self._groups.setdefault(ranks, _Group(ranks))

    def enter(
        self, group: _Group, rank: int, name: tuple[str, str, Call | None], pieces: Mapping[int, Any], shared: Any
    ) -> int:
        """Begin an operation, and leave what it sends; return its number."""
        self._require_no_failure()
        number = group.counts[rank] = group.counts[rank] + 1
        meeting = group.meetings.setdefault(number, _Meeting())
        meeting.begun[rank] = name
        meeting.busy += 1
        for receiver, item in pieces.items():
            meeting.pieces[rank, receiver] = item
        if shared is not None:
            meeting.shared[rank] = shared
        self._wake([other for other in meeting.awaited.pop(rank, ()) if other not in self._lines])
        return number

    def meet(self, group: _Group, rank: int, sender: int, number: int) -> _Meeting:
        """Wait until another rank has begun an operation that this one has begun."""
        self._require_no_failure()
        meeting = group.meetings[number]
        what = in_call(*meeting.begun[rank][1:])
        if group.counts[sender] < number:
            meeting.awaited.setdefault(sender, []).append(rank)
            self._park(rank, f"waits for rank {sender} in {what}")
        if group.counts[sender] < number:  # woken to say what it does
            self.raise_together(rank, Line("", inside(what, number)))
        if meeting.begun.get(sender) != meeting.begun[rank]:
            self.raise_together(rank, Line("AgreementError", inside(what, number)))
        return meeting

    def end(self, group: _Group, number: int) -> None:
        """End an operation on a rank."""
        meeting = group.meetings[number]
        meeting.busy -= 1
        if not (meeting.busy or meeting.pieces):
            del group.meetings[number]

    def require_nothing_left(self) -> None:
        """Raise when all ranks have ended, and pieces are left that nobody has taken.

        What all ranks have begun and none has ended is no message that went astray: the program has dropped it.
        """
        left = {
            sender: f"has sent to rank {receiver} {inside(in_call(*meeting.begun[sender][1:]), number)}"
            for group in self._groups.values()
            for number, meeting in group.meetings.items()
            for sender, receiver in meeting.pieces
            if receiver not in meeting.begun or meeting.busy < len(meeting.begun)
        }
        if left:
            more = f", and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
            words = tell_apart(dict(sorted(left.items())[:MOST_NAMED]))
            raise AgreementError(f"all ranks have ended, and messages are left that nobody has taken. {words}{more}")

    # -- errors --------------------------------------------------------------------------------------------------------

    def raise_together(self, rank: int, line: Line) -> NoReturn:
        """Raise what all ranks raise, when every rank that has not ended has said what it is doing."""
        self._require_no_failure()
        self._lines[rank] = line
        self._settle(rank)
        if rank not in self._verdicts:
            self._park(rank, line.words)
        raise self._verdicts.pop(rank)

    def fail(self, rank: int, error: BaseException) -> None:
        """Note the first failure; every rank that waits raises when its turn comes."""
        if self.failure is None:
            self.failure = rank, error

    def _settle(self, running: int | None) -> None:
        """Make everyone raise, once all ranks have said why; the rank that runs is not woken."""
        if self._lines and self._lines.keys() >= self._running:
            ended = {rank: Line("", "has ended") for rank in range(self.size) if rank not in self._lines}
            error = story({**ended, **self._lines})
            self._verdicts = {rank: of_all(type(error)(str(error))) for rank in self._lines}
            stopped, self._lines = self._lines, {}
            self._wake(sorted(stopped.keys() - {running}))
            self.failures += 1
            for group in self._groups.values():
                group.reset()

    def stop(self, threads: Sequence[threading.Thread], error: BaseException) -> None:
        """End all ranks, because of an error in the caller's thread, and wait until they have ended.

        A rank ends at its next operation. One that computes is interrupted; where it is deep in a function of another
        language, it ends when that returns.
        """
        self.failure = None, error
        for thread in threads:
            if thread.ident is None:  # it would be given a turn
                thread.start()
        began = time.monotonic()
        for patience in (GRACE, *INTERRUPTS):
            if self.wait(max(0.0, began + patience - time.monotonic())):
                return
            waiting = {*self._parked, *self._ready}
            for rank in self._running - waiting:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._threads[rank]), ctypes.py_object(RankInterrupt)
                )
        self._free = True  # a turn has been lost, where an interrupt came between two lines of ours
        for turn in self._turns:
            if turn.locked():
                turn.release()
        self.wait(FAREWELL)


@final
class _Operation:
    """An operation that this rank has begun.

    Parameters
    ----------
    world : _ThreadWorld
        Whose.
    kind : str
        What is done: two kinds may call themselves alike.
    what : str
        What it calls itself.
    pieces : mapping of int to object, optional
        What goes to some ranks of the group.
    shared : object, optional
        What goes to all of them.
    """

    def __init__(
        self, world: _ThreadWorld, kind: str, what: str, pieces: Mapping[int, Any] | None = None, shared: Any = None
    ) -> None:
        world.caller.require_thread()
        self.world, self._group, self._me = world, world.group, world.ranks[world.rank]
        self._name = kind, what, world.caller.call
        sent = {world.ranks[receiver]: item for receiver, item in (pieces or {}).items()}
        self._number = world.simulation.enter(self._group, self._me, self._name, sent, shared)
        self._failures = world.simulation.failures

    @property
    def what(self) -> str:
        """What it calls itself, with the call that it belongs to."""
        return in_call(*self._name[1:])

    def take(self, sender: int) -> Any:
        """Wait for the piece from another rank of the group."""
        meeting = self._meet(sender)
        piece = meeting.pieces.pop((self.world.ranks[sender], self._me), None)
        if piece is None:
            self.world.fail(AgreementError(f"{self.what}: rank {sender} sends nothing to rank {self.world.rank}"))
        return piece

    def shared(self) -> tuple[_Meeting, list[Any]]:
        """Wait for what every rank shares; return it in the order of ranks."""
        meeting = self._meet(self.world.rank)
        for rank, name in enumerate(self.world.ranks):
            if meeting.begun.get(name) != meeting.begun[self._me]:  # not yet, or another operation
                self._meet(rank)
        return meeting, [meeting.shared[name] for name in self.world.ranks]

    def land(self, memory: np.ndarray, sender: int) -> None:
        """Fill memory with the piece from another rank, which must have its size and dtype."""
        piece = self.take(sender)
        self.require_alike(piece, memory, sender)
        memory[...] = piece.reshape(memory.shape)

    def require_alike(self, piece: np.ndarray, memory: np.ndarray, sender: int) -> None:
        """Raise, on all ranks, unless what another rank has sent is as large as what this one has room for."""
        if piece.size == memory.size and piece.dtype == memory.dtype:
            return
        sent, expected = (f"{math.prod(x.shape)} entries of {dtype_name(x)}" for x in (piece, memory))
        rank = self.world.rank
        self.world.fail(AgreementError(f"{self.what}: rank {sender} has {sent}, rank {rank} has {expected}"))

    def end(self) -> None:
        """Note that nothing more is expected."""
        self.world.simulation.end(self._group, self._number)

    def _meet(self, sender: int) -> _Meeting:
        world = self.world
        if self._failures != world.simulation.failures:
            world.fail(overtaken(self.what))
        return world.simulation.meet(self._group, self._me, world.ranks[sender], self._number)


@final
class _ThreadExchange(Exchange):
    """Pieces that are in the mailboxes, and those still to be taken out."""

    def __init__(self, operation: _Operation, receives: Sequence[tuple[int, np.ndarray, Land]]) -> None:
        self._operation, self._receives = operation, receives

    def finish(self) -> None:
        """Take the pieces out."""
        self._operation.world.caller.require_thread()
        for sender, memory, land in self._receives:
            self._operation.land(memory, sender)
            if land is not None:
                land()
        self._operation.end()


@final
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
        self.simulation, self.ranks, self.group = simulation, ranks, simulation.group(ranks)
        self.rank, self.size, self.traffic, self.caller = rank, len(ranks), traffic, caller
        self._worlds = worlds
        worlds[ranks] = self

    @property
    def failures(self) -> int:
        """How often the ranks have raised an error together; see `World.failures`."""
        return self.simulation.failures

    @property
    def hosts(self) -> tuple[int, ...]:
        """The host of each rank: one, unless a test says otherwise; see `World.hosts`."""
        return numbered([self.simulation.hosts[rank] for rank in self.ranks])

    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return the world of some of the ranks; see `World.sub`."""
        group, me = tuple(self.ranks[rank] for rank in ranks), self.ranks[self.rank]
        if me not in group:
            return None
        world = self._worlds.get(group)
        if world is None:
            world = _ThreadWorld(self.simulation, group, group.index(me), self.traffic, self.caller, self._worlds)
        return world

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
        landing = [(sender, *self._lent(bits, buffer, what)) for sender, buffer in receives]
        leaving = {receiver: self._lent(bits, buffer, what)[0].copy() for receiver, buffer in sends}
        self.traffic.messages += len(leaving)
        self.traffic.bytes += sum(nbytes(memory) for memory in leaving.values())
        return _ThreadExchange(_Operation(self, "exchange", what, leaving), landing)

    def _broadcast(self, memory: np.ndarray, root: int, what: str) -> None:
        pieces = {}
        if self.rank == root:
            pieces = dict.fromkeys([rank for rank in range(self.size) if rank != root], memory.copy())
        operation = _Operation(self, "broadcast", what, pieces)
        if self.rank != root:
            operation.land(memory, root)
        operation.end()

    def _reduce(self, addend: np.ndarray, total: np.ndarray | None, root: int, what: str) -> None:
        operation = _Operation(self, "reduce", what, {root: addend.copy()} if total is None else {})
        if total is not None:
            total[...] = 0
            for rank in range(self.size):
                piece = addend if rank == self.rank else np.empty_like(addend)
                if rank != self.rank:
                    operation.land(piece, rank)
                total += piece
        operation.end()

    def _allreduce(self, addend: np.ndarray, total: np.ndarray, what: str) -> None:
        operation = _Operation(self, "allreduce", what, shared=addend.copy())
        meeting, addends = operation.shared()
        if meeting.total is None:  # the first rank to get here adds up, in the order of ranks
            summed = np.zeros_like(addend)
            for rank, piece in enumerate(addends):
                operation.require_alike(piece, addend, rank)
                summed += piece.reshape(summed.shape)
            meeting.total = summed
        total[...] = meeting.total.reshape(total.shape)
        operation.end()

    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's object; see `World.allgather`."""
        # As between processes: everyone gets an object of their own, unless nobody can change it.
        packed = _Constant(value) if _is_constant(value) else pickle.dumps(value)
        operation = _Operation(self, "allgather", what, shared=packed)
        _, everyones = operation.shared()
        operation.end()
        return [item.value if isinstance(item, _Constant) else pickle.loads(item) for item in everyones]


@final
class _Constant:
    """A value that cannot change."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _is_constant(value: object) -> bool:
    """Say whether a value consists of numbers, text and tuples."""
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return value is None or type(value) in (bool, int, float, complex, str, bytes)
