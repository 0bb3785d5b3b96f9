"""Ranks of torch.distributed: the third engine, beside simulated ranks and MPI.

Arrays travel as messages of gloo, on connections of our own, so that no message of the user's can be taken for one of
ours; sums are made on the ranks, in their order. Notices (see `failure_detector`) travel through the store of
the process group. How messages are waited for is in `torch_bridge.worlds.waiting`.

Tensors on a device stay there where the process group has a backend for them, as NCCL is; see `device_messages`.
Others go through host memory.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar, final

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store

from distdl_ops import World
from distdl_ops.layouts.intervals import balanced
from distdl_ops.worlds.agreement import agreed
from distdl_ops.worlds.buffers import Lent
from distdl_ops.worlds.call import key_of
from distdl_ops.worlds.failure_detector import Entry, FailureDetector, Group
from distdl_ops.worlds.notices import NoticeChannel, Pending
from distdl_ops.worlds.processes import Message, ProcessWorld
from distdl_ops.worlds.start import default_timeout
from distdl_ops.worlds.world import Traffic
from linop import arrays
from linop.arrays import Array
from torch_bridge.compat import default_store
from torch_bridge.worlds.device_messages import Direct, carried
from torch_bridge.worlds.waiting import Link, Works

T = TypeVar("T")

TAGS = 2**31
"""How many messages are told apart."""

PRIME = 2_654_435_761
"""Spreads the sizes of messages over the tags."""

SMALL = 4096
"""Bytes up to which everyone sends all addends to everyone; of more, each rank sums its part."""


def start(*, timeout: float) -> TorchWorld:
    """Return the world of all processes that ``torchrun`` has started; see `distdl_ops.world`. Collective."""
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    return TorchWorld(timeout=timeout)


@final
class TorchWorld(ProcessWorld):
    """The ranks of a process group, seen by one of them. Collective.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, optional
        Whose ranks they are; all processes by default.
    timeout : float, optional
        Seconds after which waiting for another rank is an error; as for `distdl_ops.world` by default.
    direct : collection of str, optional
        Types of device whose tensors do not go through host memory, but are carried by the process group's backend. By
        default, all for which it has another one than gloo: ``{"cuda"}`` for NCCL.

    Examples
    --------
    In a program that torchrun has started::

        torch.distributed.init_process_group("gloo")
        world = TorchWorld()
    """

    def __init__(
        self,
        group: dist.ProcessGroup | None = None,
        *,
        timeout: float | None = None,
        direct: Collection[str] | None = None,
    ) -> None:
        group = dist.group.WORLD if group is None else group
        assert group is not None  # there is one once torch.distributed is initialised
        timeout = default_timeout() if timeout is None else timeout
        detector = _detector_of(group, timeout)
        detector.caller.require_thread()
        detector.worlds += 1
        super().__init__(detector, detector.worlds, tuple(range(detector.size)), timeout, Traffic(), {})
        self._carried = carried(group) if direct is None else frozenset(direct)
        assert isinstance(detector.channel, _GlooChannel)
        self._direct = detector.channel.direct(group) if self._carried else None
        agreed(self, "TorchWorld", lambda: timeout, describe=lambda found: f"timeout={found:g}")
        self.find_hosts()

    def _of(self, group: Group) -> World:
        world = object.__new__(TorchWorld)
        ProcessWorld.__init__(world, self._detector, self._key[0], group, self._timeout, self.traffic, self._worlds)
        world._carried, world._direct = self._carried, self._direct
        return world

    def _memory(self, buffer: Array) -> Lent:
        if isinstance(buffer, torch.Tensor) and buffer.device.type in self._carried and buffer.is_contiguous():
            return buffer, None
        return super()._memory(buffer)

    def _messages(self, sends: Sequence[Message], receives: Sequence[Message], stamp: int) -> Pending:
        to_itself = [[memory for rank, memory in messages if rank == self.rank] for messages in (receives, sends)]
        for received, sent in zip(*to_itself, strict=True):
            received.reshape(-1)[...] = sent.reshape(-1)
        channel, group = self._detector.channel, self._group
        assert isinstance(channel, _GlooChannel)
        receives, sends = ([m for m in messages if m[0] != self.rank] for messages in (receives, sends))
        works = [(rank, channel.receive_message(memory, group[rank], stamp)) for rank, memory in receives]
        works += [(rank, channel.send_message(memory, group[rank], stamp)) for rank, memory in sends]
        headers = Works(channel.link, works)
        out, back = ([(group[rank], m) for rank, m in ms if not _in_host(m)] for ms in (sends, receives))
        if self._direct is None or not (out or back):
            return headers
        return self._direct.exchange(headers, out, back)

    def _broadcast(self, memory: Array, root: int, what: str) -> None:
        others = [(rank, memory) for rank in range(self.size) if rank != self.rank]
        sends, receives = (others, []) if self.rank == root else ([], [(root, memory)])
        self._run(sends, receives, "broadcast", self._enter(what, memory.nbytes))

    def _reduce(self, addend: Array, total: Array | None, root: int, what: str) -> None:
        entry = self._enter(what, addend.nbytes)
        if total is None:
            self._run([(root, addend)], [], "reduce", entry)
        else:
            self._add_up([], addend, total, "reduce", entry)

    def _allreduce(self, addend: Array, total: Array, what: str) -> None:
        entry = self._enter(what, addend.nbytes)
        addend, flat = addend.reshape(-1), total.reshape(-1)
        (size,) = addend.shape
        parts = [slice(0, size)] * self.size
        if addend.nbytes > SMALL:
            parts = [slice(*interval) for interval in balanced(size, self.size)]
        part, others = parts[self.rank], [rank for rank in range(self.size) if rank != self.rank]
        sends = [(rank, addend[parts[rank]]) for rank in others]
        self._add_up(sends, addend[part], flat[part], "allreduce", entry)
        if addend.nbytes > SMALL:
            sums = [(rank, flat[parts[rank]]) for rank in others]
            self._run([(rank, flat[part]) for rank in others], sums, "sums of allreduce", entry)

    def allgather(self, value: T, what: str) -> list[T]:
        """Return everyone's object; see `World.allgather`."""
        sent = np.frombuffer(pickle.dumps(value), np.uint8)
        entry, others = self._enter(what, None), [rank for rank in range(self.size) if rank != self.rank]
        sizes = {rank: np.zeros(1, np.int64) for rank in others}
        size = np.array([sent.size])
        self._run([(rank, size) for rank in others], list(sizes.items()), "allgather", entry)
        pickled = {rank: np.empty(int(size.item()), np.uint8) for rank, size in sizes.items()}
        self._run([(rank, sent) for rank in others], list(pickled.items()), "objects of allgather", entry)
        return [pickle.loads(pickled.get(rank, sent).tobytes()) for rank in range(self.size)]

    def _run(self, sends: list[Message], receives: list[Message], step: str, entry: Entry) -> None:
        """Send and receive, in a step of an operation."""
        peers = [rank for rank, _ in receives + sends]
        self._wait(self._begin(sends, receives, entry, hash((entry[4], key_of(step)))), entry, peers)

    def _add_up(self, sends: list[Message], addend: Array, total: Array, step: str, entry: Entry) -> None:
        """Send, and put the sum of what everyone sends into a buffer, added in the order of ranks."""
        pieces = {rank: arrays.empty(addend.shape, like=addend) for rank in range(self.size) if rank != self.rank}
        self._run(sends, list(pieces.items()), step, entry)
        total[...] = 0
        for rank in range(self.size):
            total += pieces.get(rank, addend)


_detectors: dict[tuple[int, ...], tuple[Store, FailureDetector]] = {}
"""What the worlds of the same processes share, and the store that these have met at."""


def _detector_of(group: dist.ProcessGroup, timeout: float) -> FailureDetector:
    """Return what all worlds of the ranks of a process group share. Collective."""
    store: Store = default_store()
    ranks = tuple(dist.get_process_group_ranks(group))
    met, detector = _detectors.get(ranks, (None, None))
    if detector is None or met is not store:
        name = [uuid.uuid4().hex]
        dist.broadcast_object_list(name, group=group, group_src=0)
        longer = timedelta(seconds=2 * timeout + 60)  # the detector gives up before gloo does
        ours = PrefixStore(f"distdl_ops/{name[0]}", store)
        detector = FailureDetector(_GlooChannel(name[0], ours, ranks.index(dist.get_rank()), len(ranks), longer))
        _detectors[ranks] = store, detector
        atexit.register(_leave, detector, os.getpid())
    return detector


@final
class _GlooChannel(NoticeChannel):
    """Carries notices through a store, where each rank has a box whose notices are numbered, and has the connections.

    Parameters
    ----------
    name : str
        The job's own.
    store : Store
        Of the job's own.
    rank, size : int
        This rank, and how many there are.
    timeout : timedelta
        After which gloo gives up.

    Attributes
    ----------
    link : Link or None
        The connections between all ranks; None where there is one.
    """

    errors = (RuntimeError,)  # all that torch raises
    kind = "DeadlockError"  # a process is gone

    def __init__(self, name: str, store: Store, rank: int, size: int, timeout: timedelta) -> None:
        self.rank, self.size, self._name = rank, size, name
        self._store, self._timeout, self._next, self._lost = store, timeout, 1, False
        self._connections = 0
        self.link: Link | None = None
        self._directs: list[Direct] = []  # in the order in which they were made
        self._connect()

    def _connect(self) -> None:
        """Make connections. This call blocks, but not for long: all ranks are here."""
        if self.size > 1:
            self._connections += 1
            store = PrefixStore(str(self._connections), self._store)
            self.link = Link(dist.ProcessGroupGloo(store, self.rank, self.size, self._timeout))
            # Where this rank was to be found before. Nobody looks there any more.
            self._store.delete_key(f"{self._connections - 1}/0/{self.rank}")

    def direct(self, group: dist.ProcessGroup) -> Direct:
        """Return what carries tensors between the ranks of a process group. Collective."""
        direct = Direct(group, f"distdl_ops/{self._name}/{len(self._directs)}", self._timeout)
        self._directs.append(direct)
        return direct

    def send_message(self, memory: Array, rank: int, stamp: int) -> Any:
        """Start to send a message."""
        assert self.link is not None
        return self.link.group.send([_message(memory)], rank, _tag(memory, stamp))

    def receive_message(self, memory: Array, rank: int, stamp: int) -> Any:
        """Start to receive a message."""
        assert self.link is not None
        return self.link.group.recv([_message(memory)], rank, _tag(memory, stamp))

    def send(self, notice: bytes, rank: int) -> None:
        """Send a notice, as long as there is a store; see `NoticeChannel.send`."""
        with contextlib.suppress(*self.errors):
            number = self._store.add(f"count/{rank}", 1)
            self._store.set(f"notice/{rank}/{number}", pickle.dumps((self.rank, notice)).hex())

    def receive(self) -> list[tuple[int, bytes]]:
        """Return the notices that have come; raise once when the store is gone. See `NoticeChannel.receive`."""
        notices: list[tuple[int, bytes]] = []
        if self._lost:
            return notices
        try:
            while self._store.check([key := f"notice/{self.rank}/{self._next}"]):
                notices.append(pickle.loads(bytes.fromhex(self._store.get(key).decode())))
                self._store.delete_key(key)
                self._next += 1
        except self.errors:
            self._lost = True
            raise
        return notices

    def clear(self, unfinished: Sequence[Pending], begun: Mapping[int, Any], deadline: float) -> bool:  # noqa: ARG002
        """End all connections, and make new ones; see `NoticeChannel.clear`."""
        for pending in unfinished:
            pending.abandon()
        for direct in self._directs:
            direct.give_up()
        self.close()
        for pending in unfinished:
            pending.abandon()  # nobody waits for them any more: they are let go
        try:
            self._connect()
            for direct in self._directs:
                direct.connect()
        except (*self.errors, ValueError):  # no process group can be made any more
            return False
        return True

    def close(self) -> None:
        """End the connections, and the threads that wait."""
        for direct in self._directs:
            direct.close()
        if self.link is not None:
            self.link.close()
            self.link = None


def _in_host(memory: Array) -> bool:
    """Say whether gloo carries this; the rest are tensors that follow its messages."""
    return isinstance(memory, np.ndarray)


def _message(memory: Array) -> torch.Tensor:
    """Return the bytes of an array, or one for none: also without entries, a message says which operation it is of."""
    if not _in_host(memory) or memory.size == 0:
        return torch.zeros(1, dtype=torch.uint8)
    # What is only sent may be read-only; torch has no such tensors.
    return torch.from_numpy((memory if memory.flags.writeable else memory.copy()).reshape(-1).view(np.uint8))


def _tag(memory: Array, stamp: int) -> int:
    """Return the tag of a message. Gloo ends the process when sizes differ: so they must not meet."""
    return (stamp + PRIME * int(memory.nbytes)) % TAGS


def _leave(detector: FailureDetector, process: int) -> None:
    """Tell all ranks that this one ends."""
    if os.getpid() == process:  # a child of this process is no rank
        detector.leave()
        assert isinstance(detector.channel, _GlooChannel)
        detector.channel.close()
