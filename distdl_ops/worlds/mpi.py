"""MPI ranks, through mpi4py.

The communicator is duplicated, so that no message of the user's can be taken for one of ours, and once more for the
control plane. Everything that waits goes through `_wait`: it polls, so that ranks which share a core let each other
run, and gives up after the world's timeout with an error that names the operator and the ranks.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from mpi4py import MPI

from distdl_ops.worlds.agreement import name_ranks
from distdl_ops.worlds.world import Exchange, Traffic, World
from linop import arrays
from linop.arrays import Array

T = TypeVar("T")

EAGER_POLLS = 2000
"""How often `_wait` polls before it begins to sleep: a few milliseconds."""

LONGEST_SLEEP = 1e-3
"""Seconds that `_wait` sleeps between two polls at most."""


class MPIWorld(World):
    """The ranks of an MPI communicator, seen by one of them.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
        Whose ranks they are; duplicated.
    timeout : float
        Seconds after which waiting for other ranks is an error.
    """

    def __init__(self, communicator: Any, *, timeout: float) -> None:
        self._data = communicator.Dup()
        self._control = communicator.Dup()
        self.rank, self.size = communicator.Get_rank(), communicator.Get_size()
        self.timeout = timeout
        self._abandoned: tuple[str, list[Any]] | None = None
        self.traffic = Traffic()
        self._subs: dict[tuple[int, ...], MPIWorld] = {}

    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return the world of some of the ranks; see `World.sub`."""
        key = tuple(ranks)
        if self.rank not in key:
            return None
        if key not in self._subs:
            communicator = self._control.Create_group(self._control.Get_group().Incl(key))
            self._subs[key] = MPIWorld(communicator, timeout=self.timeout)
            self._subs[key].traffic = self.traffic
        return self._subs[key]

    def exchange(
        self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]], what: str
    ) -> Exchange:
        """Start to send and receive pieces; see `World.exchange`."""
        # All memory is found before the first request is posted: nothing can fail between the two.
        incoming = [(sender, _memory(buffer)) for sender, buffer in receives]
        outgoing = [(receiver, _memory(buffer)) for receiver, buffer in sends]
        requests = [self._data.Irecv(memory, sender) for sender, memory in incoming]
        requests += [self._data.Isend(memory, receiver) for receiver, memory in outgoing]
        self.traffic.messages += len(sends)
        self.traffic.bytes += sum(memory.nbytes for _, memory in outgoing)
        return _MPIExchange(self, requests, [sender for sender, _ in receives], what)

    def broadcast(self, buffer: Array, root: int, what: str) -> None:
        """Copy the root's buffer into everyone's; see `World.broadcast`."""
        self._collective([self._data.Ibcast(_memory(buffer), root)], what)

    def reduce(self, buffer: Array, root: int, what: str) -> None:
        """Add everyone's buffer into the root's; see `World.reduce`."""
        memory = _memory(buffer)
        ends = (MPI.IN_PLACE, memory) if self.rank == root else (memory, None)
        self._collective([self._data.Ireduce(*ends, MPI.SUM, root)], what)

    def allreduce(self, buffer: Array, what: str) -> None:
        """Replace everyone's buffer by the sum; see `World.allreduce`."""
        self._collective([self._data.Iallreduce(MPI.IN_PLACE, _memory(buffer), MPI.SUM)], what)

    def agree(self, number: int, what: str) -> bool:
        """Say whether everyone has the same number; see `World.agree`."""
        extremes = np.array([number, -number], np.int64)
        self._wait([self._control.Iallreduce(MPI.IN_PLACE, extremes, MPI.MAX)], what, list(range(self.size)))
        return bool(extremes[0] == -extremes[1])

    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's object; see `World.allgather`."""
        mine = np.frombuffer(pickle.dumps(value), np.uint8)
        everyone = list(range(self.size))
        sizes = np.zeros(self.size, np.int64)
        self._wait([self._control.Iallgather(np.array([mine.size], np.int64), sizes)], what, everyone)
        gathered = np.empty(int(sizes.sum()), np.uint8)
        self._wait([self._control.Iallgatherv(mine, [gathered, sizes])], what, everyone)
        ends = np.cumsum(sizes)
        return [pickle.loads(gathered[end - size : end].tobytes()) for size, end in zip(sizes, ends, strict=True)]

    def _collective(self, requests: list[Any], what: str) -> None:
        self.traffic.collectives += self.size > 1
        self._wait(requests, what, list(range(self.size)))

    def _wait(self, requests: list[Any], what: str, peers: list[int]) -> None:
        """Wait for requests to complete; raise when that takes longer than the timeout."""
        if self._abandoned is not None:
            raise TimeoutError(f"{what}: this world is not usable any more; {self._abandoned[0]}")
        polls, deadline = 0, 0.0
        while not MPI.Request.Testall(requests):
            polls += 1
            if polls < EAGER_POLLS:
                os.sched_yield()
                continue
            if deadline == 0.0:
                deadline = time.monotonic() + self.timeout
            elif time.monotonic() > deadline:
                others = [peer for peer in peers if peer != self.rank]
                told = f"{what}: rank {self.rank} of {self.size} waited {self.timeout:g} s for {name_ranks(others)}"
                self._abandoned = told, requests  # they keep their buffers: a late message must not land elsewhere
                raise TimeoutError(told)
            time.sleep(min(LONGEST_SLEEP, 1e-5 * (polls - EAGER_POLLS + 1)))


class _MPIExchange(Exchange):
    """Messages that are under way."""

    def __init__(self, world: MPIWorld, requests: list[Any], peers: list[int], what: str) -> None:
        self._world, self._requests, self._peers, self._what = world, requests, peers, what

    def finish(self) -> None:
        """Wait for the messages."""
        self._world._wait(self._requests, self._what, self._peers)


def _memory(buffer: Array) -> np.ndarray:
    """Return the memory of a buffer as a NumPy array, without a copy."""
    memory = arrays.to_numpy(buffer)
    if not memory.flags.c_contiguous:
        raise ValueError(f"a buffer must be in row-major order, found strides {memory.strides}")
    return memory
