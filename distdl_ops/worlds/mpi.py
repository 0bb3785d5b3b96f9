"""MPI ranks, through mpi4py.

Communicators are our own, so that no message of the user's can be taken for one of ours. Sums of few numbers carry
beside them which operation they belong to; other collectives first compare it. Notices travel on a communicator of
their own. Waiting polls, so that ranks which share a core let each other run.
"""

from __future__ import annotations

import atexit
import os
import pickle
from collections.abc import Sequence
from typing import Any, TypeVar, final

import numpy as np
from mpi4py import MPI

from distdl_ops.worlds.agreement import AgreementError, inside
from distdl_ops.worlds.post import Pending, Post, pause
from distdl_ops.worlds.processes import TURNS, Message, ProcessWorld, key_of, tag_of
from distdl_ops.worlds.watch import Group, Watch
from distdl_ops.worlds.world import Traffic, World

T = TypeVar("T")

EAGER_POLLS = 2000
"""How often a rank polls before it begins to sleep and to look: a few milliseconds."""

NOTICE = 1
"""Tag on the communicator of notices."""

FEW = 12
"""How many real numbers are summed together with what they are."""


def _stamp(what: str, number: int) -> int:
    """Return a number that stands for an operation and for its place in the order of operations."""
    return (key_of(what) + number) % 2**32


def start(communicator: Any, *, timeout: float) -> MPIWorld:
    """Return the world of all ranks of a communicator. Collective.

    When this process ends, the other ranks are told.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
        Whose ranks they are; duplicated.
    timeout : float
        Seconds after which waiting for other ranks is an error.
    """
    post, process = _MPIPost(communicator.Dup()), os.getpid()
    watch = Watch(post, timeout)

    def leave() -> None:
        if os.getpid() == process and not MPI.Is_finalized():  # a child of this process is no rank
            watch.leave()

    atexit.register(leave)
    return MPIWorld(post, watch, tuple(range(watch.size)), Traffic(), {})


@final
class _MPIPost(Post):
    """Carries notices on a communicator of their own."""

    errors = (MPI.Exception,)
    kind = "AgreementError"  # messages whose sizes do not fit

    def __init__(self, communicator: Any) -> None:
        self.rank, self.size, self.communicator = communicator.Get_rank(), communicator.Get_size(), communicator
        self._sent: list[Any] = []  # requests keep their buffers

    def send(self, notice: bytes, rank: int) -> None:
        """Send a notice; see `Post.send`."""
        self._sent.append(self.communicator.Isend([notice, MPI.BYTE], rank, NOTICE))

    def receive(self) -> list[tuple[int, bytes]]:
        """Return the notices that have come; see `Post.receive`."""
        found, status = [], MPI.Status()
        while (message := self.communicator.Improbe(tag=NOTICE, status=status)) is not None:
            notice = bytearray(status.Get_count(MPI.BYTE))
            message.Recv([notice, MPI.BYTE])
            found.append((status.Get_source(), bytes(notice)))
        return found


@final
class _Requests(Pending):
    """Requests of MPI."""

    def __init__(self, *requests: Any) -> None:
        self._requests = requests

    def wait(self, turn: int) -> bool:
        """Poll for a while, later sleep and poll; see `Pending.wait`."""
        test = MPI.Request.Testall
        if turn:
            pause(turn)
            return bool(test(self._requests))
        for _ in range(EAGER_POLLS):
            if test(self._requests):
                return True
            os.sched_yield()
        return False

    def late(self, peers: Sequence[int]) -> Sequence[int]:
        """Return the peers whose requests are not done, where there is one for each; see `Pending.late`."""
        if len(peers) != len(self._requests):
            return peers
        return [peer for peer, request in zip(peers, self._requests, strict=True) if not request.Test()]

    def abandon(self) -> None:
        """Do nothing: nobody else waits."""


@final
class MPIWorld(ProcessWorld):
    """A group of MPI ranks, seen by one of them; see `ProcessWorld`."""

    def __init__(
        self, post: _MPIPost, watch: Watch, group: Group, traffic: Traffic, worlds: dict[Group, World]
    ) -> None:
        super().__init__(watch, group, traffic, worlds)
        self._post = post
        self._data: Any = None
        self._control: Any = None
        self._labels = (MPI.COMM_WORLD.Get_attr(MPI.TAG_UB) or 2**15 - 1) // TURNS

    def _of(self, group: Group) -> World:
        return MPIWorld(self._post, self._watch, group, self.traffic, self._worlds)

    def _connect(self) -> None:
        """Make communicators. These calls block, but not for long: all ranks of the group are here."""
        old, everyone = (self._data, self._control), self._post.communicator
        self._data = everyone.Create_group(everyone.Get_group().Incl(self._group))
        self._control = self._data.Dup()
        for communicator in old:
            if communicator is not None:
                communicator.Free()

    def _messages(self, sends: Sequence[Message], receives: Sequence[Message], label: str, number: int) -> Pending:
        data, tag = self._data, tag_of(label, number, self._labels)
        requests = [data.Irecv([memory, MPI.BYTE], sender, tag) for sender, memory in receives]
        requests += [data.Isend([memory, MPI.BYTE], receiver, tag) for receiver, memory in sends]
        return _Requests(*requests)

    def _broadcast(self, memory: np.ndarray, root: int, what: str) -> None:
        number = self._compare(what)
        self._wait(_Requests(self._data.Ibcast([memory, MPI.BYTE], root)), what, number)

    def _reduce(self, addend: np.ndarray, total: np.ndarray | None, root: int, what: str) -> None:
        number = self._compare(what)
        self._wait(_Requests(self._data.Ireduce(addend, total, MPI.SUM, root)), what, number)

    def _allreduce(self, addend: np.ndarray, total: np.ndarray, what: str) -> None:
        if addend.nbytes <= 8 * FEW and addend.dtype.char in "dD":
            self._sum_few(addend, total, what)
        else:
            number = self._compare(what)
            self._wait(_Requests(self._data.Iallreduce(addend, total, MPI.SUM)), what, number)

    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's object; see `World.allgather`."""
        mine = np.frombuffer(pickle.dumps(value), np.uint8)
        number = self._compare(what)
        sizes = np.zeros(self.size, np.int64)
        self._wait(_Requests(self._control.Iallgather(np.array([mine.size], np.int64), sizes)), what, number)
        gathered = np.empty(int(sizes.sum()), np.uint8)
        self._wait(_Requests(self._control.Iallgatherv(mine, [gathered, sizes])), what, number)
        ends = np.cumsum(sizes)
        return [pickle.loads(gathered[end - size : end].tobytes()) for size, end in zip(sizes, ends, strict=True)]

    def _compare(self, what: str) -> int:
        """Begin a collective of which all ranks must say the same; return its number."""
        number = self._enter(what)
        stamp = _stamp(what, number)
        extremes = np.array([stamp, -stamp])
        self._wait(_Requests(self._control.Iallreduce(MPI.IN_PLACE, extremes, MPI.MAX)), what, number)
        if extremes[0] != -extremes[1]:
            self._watch.fail(AgreementError(inside(what, number)))
        return number

    def _sum_few(self, addend: np.ndarray, total: np.ndarray, what: str) -> None:
        """Sum a few numbers in double precision, and with them what says whether all ranks sum the same.

        Both halves of a stamp and their squares are summed exactly. By the inequality of Cauchy and Schwarz, the sum of
        squares is as small as it can be only when all ranks have the same stamp.
        """
        number = self._enter(what)
        high, low = divmod(_stamp(what, number), 2**16)
        few = addend.reshape(-1).view(np.float64)
        mine = np.zeros(FEW + 4)
        mine[: few.size] = few
        mine[FEW:] = high, high * high, low, low * low
        sums = np.empty(FEW + 4)
        self._wait(_Requests(self._data.Iallreduce(mine, sums, MPI.SUM)), what, number)
        if not np.array_equal(sums[FEW:], self.size * mine[FEW:]):
            self._watch.fail(AgreementError(inside(what, number)))
        total.reshape(-1).view(np.float64)[...] = sums[: few.size]
