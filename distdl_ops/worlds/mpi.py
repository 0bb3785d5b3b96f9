"""MPI ranks, through mpi4py.

Communicators are our own, so that no message of the user's can be taken for one of ours. All messages of all worlds go
through one of them, and notices through another; only groups that call MPI's collectives have two more. Sums of few
numbers carry beside them which operation they belong to; other collectives first compare it. Waiting polls, so that
ranks which share a core let each other run.

After an error that all ranks have raised, nothing may be under way any more, or a late message would land in memory
that is used for something else, and a communicator could never be freed. So each rank cancels what it still expects,
sends a *last* message to every other rank, and receives whatever comes before theirs: messages between two ranks keep
their order. A collective that some have begun is begun by the others, too, with numbers that nobody looks at.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar, final

import numpy as np
from mpi4py import MPI

from distdl_ops.worlds.agreement import AgreementError, agreed
from distdl_ops.worlds.failure_detector import Entry, FailureDetector, Group, latest
from distdl_ops.worlds.notices import NoticeChannel, Pending, pause
from distdl_ops.worlds.processes import Message, ProcessWorld
from distdl_ops.worlds.world import Traffic, World

T = TypeVar("T")

EAGER_POLLS = 2000
"""How often a rank polls before it begins to sleep and to look: a few milliseconds."""

MOVE_EVERY = 5e-4
"""Seconds between two calls that let messages move while this rank computes."""

NOTICE = 1
"""Tag on the communicator of notices."""

LAST = 0
"""Tag of the last message before all begin anew; no operation has it."""

SEGMENT = 2**18
"""Bytes of which a message to another host consists at most. On one connection, a larger one in one direction may keep
the request for one in the other direction waiting until all of it has left: they went one after the other."""

FEW = 12
"""How many real numbers are summed together with what they are."""

PRIME = 2_654_435_761
"""Spreads the sizes of messages over the tags."""

STAMPS = 2**32
"""How many stamps are told apart where they are compared."""

let_others_run: Callable[[], None] = getattr(os, "sched_yield", functools.partial(time.sleep, 0))
"""Gives the core to another process; not every system has the first."""

JOB = MPI.Comm.Create_keyval()
"""Under which a communicator keeps what its worlds share."""


def start(communicator: Any, *, timeout: float) -> MPIWorld:
    """Return a world of all ranks of a communicator. Collective.

    All worlds of a communicator share connections. When this process ends, the other ranks are told.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
        Whose ranks they are; duplicated.
    timeout : float
        Seconds after which waiting for other ranks is an error.
    """
    detector: FailureDetector | None = communicator.Get_attr(JOB)
    if detector is None:
        detector = FailureDetector(_MPIChannel(communicator))
        communicator.Set_attr(JOB, detector)
        atexit.register(_leave, detector, os.getpid())
    detector.caller.require_thread()
    detector.worlds += 1
    world = MPIWorld(detector, detector.worlds, tuple(range(detector.size)), timeout, Traffic(), {})
    agreed(world, "world", lambda: timeout, describe=lambda found: f"timeout={found:g}")
    world.find_hosts()
    return world


def _leave(detector: FailureDetector, process: int) -> None:
    """Tell all ranks that this one ends."""
    if os.getpid() == process and not MPI.Is_finalized():  # a child of this process is no rank
        detector.leave()
        assert isinstance(detector.channel, _MPIChannel)
        detector.channel.close()


# -- messages ----------------------------------------------------------------------------------------------------------


class _Requests(Pending):
    """Requests of MPI.

    Parameters
    ----------
    requests : list of mpi4py.MPI.Request
        In order of the messages that they belong to: those that are received first.
    messages : list of int, optional
        Which message each belongs to; by default, one each.
    receives : int, optional
        How many of the requests receive.
    """

    def __init__(self, requests: list[Any], messages: Sequence[int] | None = None, receives: int = 0) -> None:
        self.requests, self.receives = requests, receives
        self._messages = range(len(requests)) if messages is None else messages

    def wait(self, turn: int) -> bool:
        """Poll for a while, later sleep and poll; see `Pending.wait`."""
        test, requests = MPI.Request.Testall, self.requests
        if turn:
            pause(turn)
            return bool(test(requests))
        for _ in range(EAGER_POLLS):
            if test(requests):
                return True
            let_others_run()
        return False

    def late(self, peers: Sequence[int]) -> Sequence[int]:
        """Return the peers whose requests are not done, where there is one for each; see `Pending.late`."""
        if len(peers) != len(set(self._messages)):
            return peers
        late = [k for k, request in zip(self._messages, self.requests, strict=True) if not request.Test()]
        return [peers[k] for k in dict.fromkeys(late)]

    def abandon(self) -> None:
        """Do nothing: nobody else waits."""


@final
class _Mover:
    """A thread that calls MPI now and then while messages are under way and this rank computes.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
        It is only looked at.
    under_way : collection
        Empty when nothing is.
    """

    def __init__(self, communicator: Any, under_way: Collection[object]) -> None:
        self._communicator, self._under_way = communicator, under_way
        self._awake, self._ended = threading.Event(), False
        self._thread = threading.Thread(target=self._serve, name="moves messages", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Begin, unless it has begun."""
        self._awake.set()

    def close(self) -> None:
        """End."""
        self._ended = True
        self._awake.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._ended:
            self._awake.wait()
            self._awake.clear()
            while self._under_way and not self._ended:
                self._communicator.Iprobe(tag=NOTICE)
                time.sleep(MOVE_EVERY)


@final
class _MPIChannel(NoticeChannel):
    """Carries notices on a communicator of their own, and has the one for all messages.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
        Of all ranks of the job. Duplicated; collective.
    """

    errors = (MPI.Exception,)
    kind = "AgreementError"

    def __init__(self, communicator: Any) -> None:
        self.rank, self.size = communicator.Get_rank(), communicator.Get_size()
        self._notices, self.data = communicator.Dup(), communicator.Dup()
        self._sent: list[Any] = []  # requests keep their buffers
        everyone = tuple(range(self.size))
        self.collectives = {everyone: Collectives(communicator.Dup(), communicator.Dup())}
        self._mover: _Mover | None = None

    def send(self, notice: bytes, rank: int) -> None:
        """Send a notice; see `NoticeChannel.send`."""
        self._sent = [request for request in self._sent if not request.Test()]
        self._sent.append(self._notices.Isend([notice, MPI.BYTE], rank, NOTICE))

    def receive(self) -> list[tuple[int, bytes]]:
        """Return the notices that have come; see `NoticeChannel.receive`."""
        arrived, status = [], MPI.Status()
        while (message := self._notices.Improbe(tag=NOTICE, status=status)) is not None:
            notice = bytearray(status.Get_count(MPI.BYTE))
            message.Recv([notice, MPI.BYTE])
            arrived.append((status.Get_source(), bytes(notice)))
        return arrived

    def keep_moving(self, under_way: Collection[object]) -> None:
        """Let a thread call MPI now and then, where it may: MPI moves messages only within calls."""
        if self._mover is None and MPI.Query_thread() == MPI.THREAD_MULTIPLE:
            self._mover = _Mover(self._notices, under_way)
        if self._mover is not None:
            self._mover.wake()

    def close(self) -> None:
        """End that thread."""
        if self._mover is not None:
            self._mover.close()

    def group(self, ranks: Group, meet: Callable[[], None]) -> Collectives:
        """Return the collectives of some ranks. The first time, all of them meet, and make communicators."""
        collectives = self.collectives.get(ranks)
        if collectives is None:
            meet()  # the next call blocks, but not for long: all ranks of the group are here
            few = self.data.Create_group(self.data.Get_group().Incl(ranks))
            collectives = self.collectives[ranks] = Collectives(few, few.Dup())
        return collectives

    def begun(self) -> Any:
        """Return how many collectives each group has begun, and the last of them; see `NoticeChannel.begun`."""
        return {
            (ranks, k): (collectives.counts[k], tuple(collectives.last[k]))
            for ranks, collectives in self.collectives.items()
            for k in range(2)
            if collectives.counts[k]
        }

    def clear(self, unfinished: Sequence[Pending], begun: Mapping[int, Any], deadline: float) -> bool:
        """Cancel, complete, and receive; see `NoticeChannel.clear`."""
        requests = []
        for pending in unfinished:
            if isinstance(pending, _Requests):  # not ranks that meet
                requests += pending.requests
                for request in pending.requests[: pending.receives]:
                    if request != MPI.REQUEST_NULL:
                        request.Cancel()
        for ranks, collectives in self.collectives.items():
            requests += itertools.chain.from_iterable(
                collectives.catch_up(k, *latest(begun, (ranks, k))) for k in range(2)
            )
        others = [rank for rank in range(self.size) if rank != self.rank]
        requests += [self.data.Isend([b"", MPI.BYTE], rank, LAST) for rank in others]
        turn, open_ends, status = 0, set(others), MPI.Status()
        while True:
            for rank in list(open_ends):
                while rank in open_ends and self.data.Iprobe(rank, MPI.ANY_TAG, status):
                    tag, buffer = status.Get_tag(), bytearray(status.Get_count(MPI.BYTE))
                    requests.append(self.data.Irecv([buffer, MPI.BYTE], rank, tag))
                    if tag == LAST:
                        open_ends.remove(rank)
            if MPI.Request.Testall(requests) and not open_ends:
                return True
            if time.monotonic() > deadline:
                return False
            turn += 1
            pause(turn)


# -- collectives -------------------------------------------------------------------------------------------------------


class Job(NamedTuple):
    """What a collective is called with on all ranks, buffers aside.

    Attributes
    ----------
    name : str
        Of the method of a communicator.
    count, dtype
        Entries of its buffer, and their dtype; of an all-gather, on each rank.
    root : int
        Of a broadcast or a reduction.
    """

    name: str
    count: Any
    dtype: str
    root: int = 0


@final
class Collectives:
    """MPI's collectives on a group of ranks.

    There are two communicators, so that on each of them ranks only meet in collectives of one kind: on the first, those
    that compare; on the second, sums of few numbers, and what has been compared.

    Parameters
    ----------
    comparing, moving : mpi4py.MPI.Comm
        Its communicators.

    Attributes
    ----------
    counts : list of int
        How many have begun on each.
    last : list of deque
        The last ones. A rank may be two ahead of another: the root of a broadcast need not wait.
    """

    def __init__(self, comparing: Any, moving: Any) -> None:
        self._communicators = comparing, moving
        self.counts = [0, 0]
        self.last: list[deque[Job]] = [deque(maxlen=3), deque(maxlen=3)]

    def begin(self, k: int, job: Job, sent: Any, everyone: Any) -> _Requests:
        """Begin a collective."""
        self.counts[k] += 1
        self.last[k].append(job)
        start = getattr(self._communicators[k], job.name)
        if job.name == "Iallreduce":
            return _Requests([start(sent, everyone, MPI.MAX if k == 0 else MPI.SUM)])
        if job.name == "Ireduce":
            return _Requests([start(sent, everyone, MPI.SUM, job.root)])
        if job.name == "Ibcast":
            return _Requests([start([sent, MPI.BYTE], job.root)])
        return _Requests([start(sent, everyone if job.name == "Iallgather" else [everyone, list(job.count)])])

    def catch_up(self, k: int, count: int, last: Sequence[Job]) -> list[Any]:
        """Begin what another rank has begun, and this one has not."""
        missed = last[len(last) - (count - self.counts[k]) :] if count > self.counts[k] else ()
        return [request for job in missed for request in self._join(k, Job(*job)).requests]

    def _join(self, k: int, job: Job) -> _Requests:
        """Begin a collective with numbers that nobody looks at."""
        me = self._communicators[k].Get_rank()
        counts = job.count if job.name == "Iallgatherv" else (job.count,) * self._communicators[k].Get_size()
        total = sum(counts) if job.name in ("Iallgather", "Iallgatherv") else job.count
        everyone = None if job.name == "Ireduce" and me != job.root else np.zeros(total, job.dtype)
        return self.begin(k, job, np.zeros(counts[me], job.dtype), everyone)


@final
class MPIWorld(ProcessWorld):
    """A group of MPI ranks, seen by one of them; see `ProcessWorld`."""

    def __init__(
        self,
        detector: FailureDetector,
        serial: int,
        group: Group,
        timeout: float,
        traffic: Traffic,
        worlds: dict[Group, World],
    ) -> None:
        super().__init__(detector, serial, group, timeout, traffic, worlds)
        assert isinstance(detector.channel, _MPIChannel)
        self._channel = detector.channel
        self._data = self._channel.data
        self._tags = (MPI.COMM_WORLD.Get_attr(MPI.TAG_UB) or 2**15 - 1) - 1

    def _of(self, group: Group) -> World:
        return MPIWorld(self._detector, self._key[0], group, self._timeout, self.traffic, self._worlds)

    def _messages(self, sends: Sequence[Message], receives: Sequence[Message], stamp: int) -> Pending:
        if self._detector.several_hosts:
            return self._pieces(sends, receives, stamp)
        data, group, tags, requests = self._data, self._group, self._tags, []
        for sender, memory in receives:
            tag = 1 + (stamp + PRIME * memory.nbytes) % tags
            requests.append(data.Irecv([memory, MPI.BYTE], group[sender], tag))
        for receiver, memory in sends:
            tag = 1 + (stamp + PRIME * memory.nbytes) % tags
            requests.append(data.Isend([memory, MPI.BYTE], group[receiver], tag))
        return _Requests(requests, receives=len(receives))

    def _pieces(self, sends: Sequence[Message], receives: Sequence[Message], stamp: int) -> Pending:
        """Begin messages, of which large ones to and from other hosts go in pieces."""
        data, group, tags = self._data, self._group, self._tags
        requests: list[Any] = []
        messages: list[int] = []
        received = 0
        for start, ends in ((data.Irecv, receives), (data.Isend, sends)):
            for rank, memory in ends:
                tag = 1 + (stamp + PRIME * memory.nbytes) % tags
                pieces = [memory] if memory.nbytes <= SEGMENT else self._segments(rank, memory)
                messages += [len(messages) and messages[-1] + 1] * len(pieces)
                requests += [start([piece, MPI.BYTE], group[rank], tag) for piece in pieces]
            received = received or len(requests)
        return _Requests(requests, messages, received if receives else 0)

    def _segments(self, rank: int, memory: np.ndarray) -> list[np.ndarray]:
        """Return the pieces of a large message to a rank, or from it: one on the same host."""
        if self.hosts[rank] == self.hosts[self.rank]:
            return [memory]
        flat = memory.reshape(-1).view(np.uint8)
        return [flat[start : start + SEGMENT] for start in range(0, flat.size, SEGMENT)]

    def _collectives(self, entry: Entry) -> Collectives:
        """Return the collectives of the group, for an operation."""
        meet = self._detector.meet
        return self._channel.group(self._group, lambda: meet(self._key, entry, self._timeout))

    def _broadcast(self, memory: np.ndarray, root: int, what: str) -> None:
        entry = self._compare(what, memory.nbytes)
        self._run(Job("Ibcast", memory.nbytes, "B", root), memory, None, entry)

    def _reduce(self, addend: np.ndarray, total: np.ndarray | None, root: int, what: str) -> None:
        entry = self._compare(what, addend.nbytes)
        self._run(Job("Ireduce", addend.size, addend.dtype.char, root), addend, total, entry)

    def _allreduce(self, addend: np.ndarray, total: np.ndarray, what: str) -> None:
        if addend.nbytes <= 8 * FEW and addend.dtype.char in "dD":
            self._sum_few(addend, total, what)
        else:
            entry = self._compare(what, addend.nbytes)
            self._run(Job("Iallreduce", addend.size, addend.dtype.char), addend, total, entry)

    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's object; see `World.allgather`."""
        sent = np.frombuffer(pickle.dumps(value), np.uint8)
        entry = self._compare(what, None)
        sizes = np.zeros(self.size, np.int64)
        self._run(Job("Iallgather", 1, "q"), np.array([sent.size], np.int64), sizes, entry)
        gathered = np.empty(int(sizes.sum()), np.uint8)
        self._run(Job("Iallgatherv", tuple(sizes.tolist()), "B"), sent, gathered, entry)
        ends = np.cumsum(sizes)
        return [pickle.loads(gathered[end - size : end].tobytes()) for size, end in zip(sizes, ends, strict=True)]

    def _run(self, job: Job, sent: Any, everyone: Any, entry: Entry, k: int = 1) -> None:
        """Call a collective, and wait."""
        self._wait(self._collectives(entry).begin(k, job, sent, everyone), entry)

    def _compare(self, what: str, size: int | None) -> Entry:
        """Begin a collective of which all ranks must say the same."""
        entry = self._enter(what, size)
        stamp = self._compared(entry)
        stamps, extremes = np.array([stamp, -stamp]), np.zeros(2, np.int64)
        self._run(Job("Iallreduce", 2, "q"), stamps, extremes, entry, 0)
        if extremes[0] != -extremes[1]:
            self._disagree(entry)
        return entry

    def _sum_few(self, addend: np.ndarray, total: np.ndarray, what: str) -> None:
        """Sum a few numbers in double precision, and with them what says whether all ranks sum the same.

        Both halves of a stamp and their squares are summed exactly. By the inequality of Cauchy and Schwarz, the sum of
        squares is as small as it can be only when all ranks have the same stamp.
        """
        entry = self._enter(what, addend.nbytes)
        high, low = divmod(self._compared(entry), 2**16)
        few = addend.reshape(-1).view(np.float64)
        addends = np.zeros(FEW + 4)
        addends[: few.size] = few
        addends[FEW:] = high, high * high, low, low * low
        sums = np.empty(FEW + 4)
        self._run(Job("Iallreduce", FEW + 4, "d"), addends, sums, entry)
        if not np.array_equal(sums[FEW:], self.size * addends[FEW:]):
            self._disagree(entry)
        total.reshape(-1).view(np.float64)[...] = sums[: few.size]

    def _compared(self, entry: Entry) -> int:
        """Return what stands for an operation, where ranks compare it."""
        return hash((entry[4], entry[2])) % STAMPS if entry[2] is not None else entry[4] % STAMPS

    def _disagree(self, entry: Entry) -> NoReturn:
        """Raise where ranks have said different things."""
        bytes_each = "" if entry[2] is None else f", with {entry[2]} bytes"
        self.fail(AgreementError(self._detector.where(self._key, entry) + bytes_each))
