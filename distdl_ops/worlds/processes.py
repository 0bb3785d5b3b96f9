"""Worlds whose ranks are processes: what does not depend on how messages travel.

Messages of an exchange carry in their tag which operation of which world they belong to, in which call, and how many
bytes they have. So ranks that are in different operations never take wrong numbers for right ones; how they find out,
and all waiting, is in `distdl_ops.worlds.failure_detector`.
"""

from __future__ import annotations

import functools
import socket
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import get_ident
from typing import NoReturn, final

from distdl_ops.worlds.agreement import overtaken
from distdl_ops.worlds.buffers import bits
from distdl_ops.worlds.call import in_call
from distdl_ops.worlds.failure_detector import Entry, FailureDetector, Group, Log, Size
from distdl_ops.worlds.notices import Pending
from distdl_ops.worlds.world import Exchange, Traffic, World
from linop.arrays import Array

Message = tuple[int, Array]
"""The other rank, and the entries: an array of NumPy, unless the engine carries others."""

LOOK_EVERY = 64
"""After how many operations a rank reads the notices of others in any case."""


def host_name() -> str:
    """Return a name that processes share which reach each other without a network: of the machine, and its network."""
    try:
        network = str(Path("/proc/self/ns/net").readlink())
    except OSError:  # no Linux
        network = ""
    return f"{socket.gethostname()} {network}"


def numbered(names: Sequence[object]) -> tuple[int, ...]:
    """Return numbers in place of names, in the order in which these come first."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return tuple(numbers[name] for name in names)


class ProcessWorld(World):
    """A group of processes, seen by one of them. Abstract.

    Parameters
    ----------
    detector : FailureDetector
        Through which its ranks wait.
    serial : int
        The number of the world that it belongs to, among those of the job.
    group : tuple of int
        Their numbers in the job.
    timeout : float
        Seconds after which waiting for another rank is an error.
    traffic : Traffic
        Where to count.
    worlds : dict
        The worlds of the same number by their groups.
    """

    def __init__(
        self,
        detector: FailureDetector,
        serial: int,
        group: Group,
        timeout: float,
        traffic: Traffic,
        worlds: dict[Group, World],
    ) -> None:
        self.rank, self.size, self.traffic, self.caller = (
            group.index(detector.rank),
            len(group),
            traffic,
            detector.caller,
        )
        self._detector, self._group, self._timeout, self._worlds = detector, group, timeout, worlds
        self._key = serial, group
        self._log, self._epoch, self._label = Log(), -1, 0
        worlds[group] = self

    @property
    def failures(self) -> int:
        """How often the ranks have raised an error together; see `World.failures`."""
        return self._detector.failures

    @functools.cached_property
    def hosts(self) -> tuple[int, ...]:
        """The host of each rank; see `World.hosts`."""
        return numbered([self._detector.hosts[rank] for rank in self._group])

    def find_hosts(self) -> None:
        """Find out on which host each rank is. Collective over all ranks of the job, once."""
        if not self._detector.hosts:
            self._detector.hosts = numbered(self.allgather(host_name(), "hosts"))
            self._detector.several_hosts = len(set(self._detector.hosts)) > 1

    def keep_moving(self) -> None:
        """Let messages move while this rank computes; see `World.keep_moving`."""
        self._detector.channel.keep_moving(self._detector.open)

    @abstractmethod
    def _messages(self, sends: Sequence[Message], receives: Sequence[Message], stamp: int) -> Pending:
        """Start to receive and to send, in this order, what belongs to an operation; it has a stamp."""

    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return the world of some of the ranks; see `World.sub`."""
        group = tuple(self._group[rank] for rank in ranks)
        if self._detector.rank not in group:
            return None
        return self._worlds.get(group) or self._of(group)

    @abstractmethod
    def _of(self, group: Group) -> World:
        """Return the world of another group, to which this rank belongs."""

    def fail(self, error: Exception) -> NoReturn:
        """Raise an error, and make all ranks of the job raise; see `World.fail`."""
        self.caller.require_thread()
        self._detector.fail(error, self._timeout)

    def exchange(
        self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]], what: str
    ) -> Exchange:
        """Start to send and receive pieces; see `World.exchange`."""
        memory = self._memory
        arriving: list[Message] = []
        leaving: list[Message] = []
        lands: list[Callable[[], None]] = []
        sent: list[tuple[int, int]] = []
        received: list[tuple[int, int]] = []
        try:  # all memory is found before the first message is under way: nothing can fail between the two
            for sender, buffer in receives:
                entries, land = bits(buffer, memory)
                arriving.append((sender, entries))
                received.append((sender, entries.nbytes))
                if land is not None:
                    lands.append(land)
            for receiver, buffer in sends:
                entries, _ = bits(buffer, memory)
                leaving.append((receiver, entries))
                sent.append((receiver, entries.nbytes))
        except (TypeError, ValueError) as error:
            self.fail(type(error)(f"{what}: {error}"))
        entry = self._enter(what, (sent, received))
        pending = self._begin(leaving, arriving, entry, entry[4])
        for _, size in sent:
            self.traffic.messages += 1
            self.traffic.bytes += size
        started = _ProcessExchange(self, pending, (arriving, leaving), lands, entry)
        self._detector.open[started] = pending
        return started

    def _begin(self, sends: Sequence[Message], receives: Sequence[Message], entry: Entry, stamp: int) -> Pending:
        """Start to receive and to send; let all ranks raise where that fails."""
        try:
            return self._messages(sends, receives, stamp)
        except self._detector.errors as error:
            self._detector.give_up(error, self._key, entry, self._timeout)

    def _enter(self, what: str, size: Size) -> Entry:
        """Begin an operation; return what is noted of it."""
        detector, caller = self._detector, self.caller
        if get_ident() != caller.thread:
            caller.refuse()
        if self._epoch != detector.epoch:
            detector.require_usable()
            self._epoch, self._label = detector.epoch, hash((*self._key, detector.epoch))
            self._log = detector.logs[self._key] = Log()
        entry = self._log.enter(what, caller.call, size, self._label)
        if entry[3] % LOOK_EVERY == 0:
            detector.look()
        return entry

    def _wait(self, pending: Pending, entry: Entry, peers: Sequence[int] | None = None) -> None:
        """Wait for messages to which peers, all ranks by default, must do something."""
        self._detector.wait(pending, self._key, entry, self._timeout, range(self.size) if peers is None else peers)


@final
class _ProcessExchange(Exchange):
    """Messages that are under way."""

    __slots__ = ("_entry", "_epoch", "_lands", "_messages", "_pending", "_world")

    def __init__(
        self,
        world: ProcessWorld,
        pending: Pending,
        messages: tuple[list[Message], list[Message]],  # kept, and with them their memory
        lands: list[Callable[[], None]],
        entry: Entry,
    ) -> None:
        self._world, self._pending, self._messages, self._lands = world, pending, messages, lands
        self._entry, self._epoch = entry, world._epoch

    def finish(self) -> None:
        """Wait for the messages."""
        world, detector = self._world, self._world._detector
        if get_ident() != world.caller.thread:
            world.caller.refuse()
        if self._epoch != detector.epoch:
            world.fail(overtaken(in_call(*self._entry[:2])))
        detector.wait(self._pending, world._key, self._entry, world._timeout)
        detector.open.pop(self, None)
        for land in self._lands:
            land()
