"""Worlds whose ranks are processes: what does not depend on how messages travel.

Messages of an exchange carry in their tag which operation of which world they belong to, in which call, and how many
bytes they have. So ranks that are in different operations never take wrong numbers for right ones; how they find out,
and all waiting, is in `distdl_ops.worlds.failure_detector`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from threading import get_ident
from typing import NoReturn, final

from distdl_ops.worlds.agreement import overtaken
from distdl_ops.worlds.buffers import Land, bits
from distdl_ops.worlds.call import in_call
from distdl_ops.worlds.failure_detector import Entry, Group, Log, Size, Watch
from distdl_ops.worlds.notices import Pending
from distdl_ops.worlds.world import Exchange, Traffic, World
from linop.arrays import Array

Message = tuple[int, Array]
"""The other rank, and the entries: an array of NumPy, unless the engine carries others."""

LOOK_EVERY = 64
"""After how many operations a rank reads the notices of others in any case."""


class ProcessWorld(World):
    """A group of processes, seen by one of them. Abstract.

    Parameters
    ----------
    watch : Watch
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
        self, watch: Watch, serial: int, group: Group, timeout: float, traffic: Traffic, worlds: dict[Group, World]
    ) -> None:
        self.rank, self.size, self.traffic, self.caller = group.index(watch.rank), len(group), traffic, watch.caller
        self._watch, self._group, self._timeout, self._worlds = watch, group, timeout, worlds
        self._key = serial, group
        self._log, self._epoch, self._label = Log(), -1, 0
        worlds[group] = self

    @property
    def failures(self) -> int:
        """How often the ranks have raised an error together; see `World.failures`."""
        return self._watch.failures

    @abstractmethod
    def _messages(self, sends: Sequence[Message], receives: Sequence[Message], stamp: int) -> Pending:
        """Start to receive and to send, in this order, what belongs to an operation; it has a stamp."""

    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return the world of some of the ranks; see `World.sub`."""
        group = tuple(self._group[rank] for rank in ranks)
        if self._watch.rank not in group:
            return None
        return self._worlds.get(group) or self._of(group)

    @abstractmethod
    def _of(self, group: Group) -> World:
        """Return the world of another group, to which this rank belongs."""

    def fail(self, error: Exception) -> NoReturn:
        """Raise an error, and make all ranks of the job raise; see `World.fail`."""
        self.caller.require_thread()
        self._watch.fail(error, self._timeout)

    def exchange(
        self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]], what: str
    ) -> Exchange:
        """Start to send and receive pieces; see `World.exchange`."""
        memory = self._memory
        try:  # all memory is found before the first message is under way: nothing can fail between the two
            landing = [(sender, *bits(buffer, memory)) for sender, buffer in receives]
            leaving = [(receiver, bits(buffer, memory)[0]) for receiver, buffer in sends]
        except (TypeError, ValueError) as error:
            self.fail(type(error)(f"{what}: {error}"))
        sent = [(receiver, entries.nbytes) for receiver, entries in leaving]
        entry = self._enter(what, (sent, [(sender, entries.nbytes) for sender, entries, _ in landing]))
        pending = self._begin(leaving, [message[:2] for message in landing], entry, entry[4])
        for _, size in sent:
            self.traffic.messages += 1
            self.traffic.bytes += size
        started = _ProcessExchange(self, pending, landing, leaving, entry)
        self._watch.open[started] = pending
        return started

    def _begin(self, sends: Sequence[Message], receives: Sequence[Message], entry: Entry, stamp: int) -> Pending:
        """Start to receive and to send; let all ranks raise where that fails."""
        try:
            return self._messages(sends, receives, stamp)
        except self._watch.errors as error:
            self._watch.give_up(error, self._key, entry, self._timeout)

    def _enter(self, what: str, size: Size) -> Entry:
        """Begin an operation; return what is noted of it."""
        watch, caller = self._watch, self.caller
        if get_ident() != caller.thread:
            caller.refuse()
        if self._epoch != watch.epoch:
            watch.require_usable()
            self._epoch, self._label = watch.epoch, hash((*self._key, watch.epoch))
            self._log = watch.logs[self._key] = Log()
        entry = self._log.enter(what, caller.call, size, self._label)
        if entry[3] % LOOK_EVERY == 0:
            watch.look()
        return entry

    def _wait(self, pending: Pending, entry: Entry, peers: Sequence[int] | None = None) -> None:
        """Wait for messages to which peers, all ranks by default, must do something."""
        self._watch.wait(pending, self._key, entry, self._timeout, range(self.size) if peers is None else peers)


@final
class _ProcessExchange(Exchange):
    """Messages that are under way."""

    __slots__ = ("_entry", "_epoch", "_landing", "_leaving", "_pending", "_world")

    def __init__(
        self,
        world: ProcessWorld,
        pending: Pending,
        landing: list[tuple[int, Array, Land]],
        leaving: list[Message],
        entry: Entry,
    ) -> None:
        self._world, self._pending, self._landing, self._leaving = world, pending, landing, leaving
        self._entry, self._epoch = entry, world._epoch

    def finish(self) -> None:
        """Wait for the messages."""
        world, watch = self._world, self._world._watch
        if get_ident() != world.caller.thread:
            world.caller.refuse()
        if self._epoch != watch.epoch:
            world.fail(overtaken(in_call(*self._entry[:2])))
        watch.wait(self._pending, world._key, self._entry, world._timeout)
        watch.open.pop(self, None)
        for _, _, land in self._landing:
            if land is not None:
                land()
