"""MPI ranks, through mpi4py.

Communicators are our own, so that no message of the user's can be taken for one of ours. Messages of an exchange carry
in their tag which operation they belong to, and sums of few numbers carry it beside them; other collectives first
compare it. So ranks that are in different operations never take wrong numbers for right ones; how they find out, and
all waiting, is in `distdl_ops.worlds.watch`.
"""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import zlib
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar, final

import numpy as np
from mpi4py import MPI

from distdl_ops.worlds.agreement import AgreementError, inside
from distdl_ops.worlds.buffers import Land, addends, bits
from distdl_ops.worlds.watch import Group, Log, Watch
from distdl_ops.worlds.world import Exchange, Traffic, World
from linop.arrays import Array

T = TypeVar("T")

TURNS = 16
"""How many numbers of operations a tag tells apart; they repeat."""

FEW = 12
"""How many real numbers are summed together with what they are."""


@functools.lru_cache(maxsize=4096)
def _key(what: str) -> int:
    """Return a number that stands for what an operation is."""
    return zlib.crc32(what.encode())


def _stamp(what: str, number: int) -> int:
    """Return one that stands for its place in the order of operations, too: another number makes another stamp."""
    return (_key(what) + number) % 2**32


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
    watch, process = Watch(communicator, timeout), os.getpid()

    def leave() -> None:
        if os.getpid() == process and not MPI.Is_finalized():  # a child of this process is no rank
            watch.leave()

    atexit.register(leave)
    return MPIWorld(watch, tuple(range(watch.size)), Traffic(), {})


@final
class MPIWorld(World):
    """A group of MPI ranks, seen by one of them.

    Parameters
    ----------
    watch : Watch
        Through which its ranks wait.
    group : tuple of int
        Their numbers in the job.
    traffic : Traffic
        Where to count.
    worlds : dict
        The worlds of the job by their groups.
    """

    def __init__(self, watch: Watch, group: Group, traffic: Traffic, worlds: dict[Group, MPIWorld]) -> None:
        self.rank, self.size, self.traffic = group.index(watch.rank), len(group), traffic
        self._watch, self._group, self._worlds = watch, group, worlds
        self._log, self._epoch = Log(), -1
        self._data: Any = None
        self._control: Any = None
        self._labels = (MPI.COMM_WORLD.Get_attr(MPI.TAG_UB) or 2**15 - 1) // TURNS
        worlds[group] = self

    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return the world of some of the ranks; see `World.sub`."""
        group = tuple(self._group[rank] for rank in ranks)
        if self._watch.rank not in group:
            return None
        return self._worlds.get(group) or MPIWorld(self._watch, group, self.traffic, self._worlds)

    def fail(self, error: Exception) -> NoReturn:
        """Raise an error, and make all ranks of the job raise; see `World.fail`."""
        self._watch.fail(error)

    def exchange(
        self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]], what: str
    ) -> Exchange:
        """Start to send and receive pieces; see `World.exchange`."""
        # All memory is found before the first request is posted: nothing can fail between the two.
        landing = [(sender, *self._lent(bits, buffer, what)) for sender, buffer in receives]
        leaving = [(receiver, self._lent(bits, buffer, what)[0]) for receiver, buffer in sends]
        number = self._enter(what)
        tag = number % TURNS * self._labels + _key(what) % self._labels
        data, traffic = self._data, self.traffic
        requests = [data.Irecv([memory, MPI.BYTE], sender, tag) for sender, memory, _ in landing]
        for receiver, memory in leaving:
            requests.append(data.Isend([memory, MPI.BYTE], receiver, tag))
            traffic.bytes += memory.nbytes
        traffic.messages += len(leaving)
        started = _MPIExchange(self, requests, landing, leaving, what, number)
        self._watch.open.add(started)
        return started

    def broadcast(self, buffer: Array, root: int, what: str) -> None:
        """Copy the root's buffer into everyone's; see `World.broadcast`."""
        memory, land = self._lent(bits, buffer, what)
        self.traffic.collectives += self.size > 1
        number = self._compare(what)
        self._wait([self._data.Ibcast([memory, MPI.BYTE], root)], what, number)
        if land is not None and self.rank != root:
            land()

    def reduce(self, x: Array, y: Array | None, root: int, what: str) -> None:
        """Put the sum of everyone's `x` into the root's `y`; see `World.reduce`."""
        addend, _ = self._lent(addends, x, what)
        total, land = (None, None) if y is None else self._lent(addends, y, what)
        self.traffic.collectives += self.size > 1
        number = self._compare(what)
        self._wait([self._data.Ireduce(addend, total, MPI.SUM, root)], what, number)
        if land is not None:
            land()

    def allreduce(self, x: Array, y: Array, what: str) -> None:
        """Put the sum of everyone's `x` into everyone's `y`; see `World.allreduce`."""
        addend, _ = self._lent(addends, x, what)
        total, land = self._lent(addends, y, what)
        self.traffic.collectives += self.size > 1
        if addend.nbytes <= 8 * FEW and addend.dtype.char in "dD":
            self._sum_few(addend, total, what)
        else:
            number = self._compare(what)
            self._wait([self._data.Iallreduce(addend, total, MPI.SUM)], what, number)
        if land is not None:
            land()

    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's object; see `World.allgather`."""
        mine = np.frombuffer(pickle.dumps(value), np.uint8)
        number = self._compare(what)
        sizes = np.zeros(self.size, np.int64)
        self._wait([self._control.Iallgather(np.array([mine.size], np.int64), sizes)], what, number)
        gathered = np.empty(int(sizes.sum()), np.uint8)
        self._wait([self._control.Iallgatherv(mine, [gathered, sizes])], what, number)
        ends = np.cumsum(sizes)
        return [pickle.loads(gathered[end - size : end].tobytes()) for size, end in zip(sizes, ends, strict=True)]

    def _enter(self, what: str) -> int:
        """Begin an operation; return its number."""
        if self._epoch != self._watch.epoch:
            self._connect()
        return self._log.enter(what)

    def _connect(self) -> None:
        """Make communicators. These calls block, but not for long: all ranks of the group are here."""
        watch, everyone = self._watch, self._watch.communicator
        old, self._epoch = (self._data, self._control), watch.epoch
        self._log = watch.logs[self._group] = Log()
        watch.meet(self._group)
        self._data = everyone.Create_group(everyone.Get_group().Incl(self._group))
        self._control = self._data.Dup()
        for communicator in old:
            if communicator is not None:
                communicator.Free()

    def _wait(self, requests: list[Any], what: str, number: int) -> None:
        """Wait for requests for which all ranks must do something."""
        self._watch.wait(requests, what, self._group, number, range(self.size))

    def _compare(self, what: str) -> int:
        """Begin a collective of which all ranks must say the same; return its number."""
        number = self._enter(what)
        stamp = _stamp(what, number)
        extremes = np.array([stamp, -stamp])
        self._wait([self._control.Iallreduce(MPI.IN_PLACE, extremes, MPI.MAX)], what, number)
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
        self._wait([self._data.Iallreduce(mine, sums, MPI.SUM)], what, number)
        if not np.array_equal(sums[FEW:], self.size * mine[FEW:]):
            self._watch.fail(AgreementError(inside(what, number)))
        total.reshape(-1).view(np.float64)[...] = sums[: few.size]


@final
class _MPIExchange(Exchange):
    """Messages that are under way."""

    def __init__(
        self,
        world: MPIWorld,
        requests: list[Any],
        landing: list[tuple[int, np.ndarray, Land]],
        leaving: list[tuple[int, np.ndarray]],
        what: str,
        number: int,
    ) -> None:
        self._world, self._requests, self._landing, self._leaving = world, requests, landing, leaving
        self._what, self._number, self._epoch = what, number, world._epoch

    def finish(self) -> None:
        """Wait for the messages."""
        world, watch = self._world, self._world._watch
        if self._epoch != watch.epoch:
            world.fail(AgreementError(f"{self._what} started before the ranks disagreed, and cannot finish"))
        peers = [rank for rank, *_ in self._landing + self._leaving]
        watch.wait(self._requests, self._what, world._group, self._number, peers)
        watch.open.discard(self)
        for _, _, land in self._landing:
            if land is not None:
                land()
