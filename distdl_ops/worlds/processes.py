"""Worlds whose ranks are processes: what does not depend on how messages travel.

Messages of an exchange carry in their tag which operation they belong to. So ranks that are in different operations
never take wrong numbers for right ones; how they find out, and all waiting, is in `distdl_ops.worlds.watch`.
"""

from __future__ import annotations

import functools
import zlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import NoReturn, final

from distdl_ops.worlds.agreement import overtaken
from distdl_ops.worlds.buffers import Land, bits
from distdl_ops.worlds.post import Pending
from distdl_ops.worlds.watch import Group, Log, Watch
from distdl_ops.worlds.world import Exchange, Traffic, World
from linop.arrays import Array

Message = tuple[int, Array]
"""The other rank, and the entries: an array of NumPy, unless the engine carries others."""

TURNS = 16
"""How many numbers of operations a tag tells apart; they repeat."""


@functools.lru_cache(maxsize=4096)
def key_of(what: str) -> int:
    """Return the number that stands for an operation."""
    return zlib.crc32(what.encode())


def tag_of(label: str, number: int, labels: int) -> int:
    """Return the tag of an operation's messages, where so many labels can be told apart."""
    return number % TURNS * labels + key_of(label) % labels


class ProcessWorld(World):
    """A group of processes, seen by one of them. Abstract.

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

    def __init__(self, watch: Watch, group: Group, traffic: Traffic, worlds: dict[Group, World]) -> None:
        self.rank, self.size, self.traffic = group.index(watch.rank), len(group), traffic
        self._watch, self._group, self._worlds = watch, group, worlds
        self._log, self._epoch = Log(), -1
        worlds[group] = self

    @abstractmethod
    def _connect(self) -> None:
        """Make connections between the ranks of the group. All of them are here."""

    @abstractmethod
    def _messages(self, sends: Sequence[Message], receives: Sequence[Message], label: str, number: int) -> Pending:
        """Start to receive and to send, in this order, what belongs to a label and the number of an operation."""

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
        self._watch.fail(error)

    def exchange(
        self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]], what: str
    ) -> Exchange:
        """Start to send and receive pieces; see `World.exchange`."""
        # All memory is found before the first message is under way: nothing can fail between the two.
        landing = [(sender, *self._lent(bits, buffer, what)) for sender, buffer in receives]
        leaving = [(receiver, self._lent(bits, buffer, what)[0]) for receiver, buffer in sends]
        number = self._enter(what)
        pending = self._begin(leaving, [(sender, memory) for sender, memory, _ in landing], what, what, number)
        self.traffic.messages += len(leaving)
        self.traffic.bytes += sum(memory.nbytes for _, memory in leaving)
        started = _ProcessExchange(self, pending, landing, leaving, what, number)
        self._watch.open.add(started)
        return started

    def _begin(
        self, sends: Sequence[Message], receives: Sequence[Message], label: str, what: str, number: int
    ) -> Pending:
        """Start to receive and to send; let all ranks raise where that fails."""
        try:
            return self._messages(sends, receives, label, number)
        except self._watch.errors as error:
            self._watch.give_up(error, what, number)

    def _enter(self, what: str) -> int:
        """Begin an operation; return its number."""
        if self._epoch != self._watch.epoch:
            self._epoch = self._watch.epoch
            self._log = self._watch.logs[self._group] = Log()
            self._watch.meet(self._group)
            self._connect()
        return self._log.enter(what)

    def _wait(self, pending: Pending, what: str, number: int, peers: Sequence[int] | None = None) -> None:
        """Wait for messages to which peers, all ranks by default, must do something."""
        self._watch.wait(pending, what, self._group, number, range(self.size) if peers is None else peers)


@final
class _ProcessExchange(Exchange):
    """Messages that are under way."""

    def __init__(
        self,
        world: ProcessWorld,
        pending: Pending,
        landing: list[tuple[int, Array, Land]],
        leaving: list[Message],
        what: str,
        number: int,
    ) -> None:
        self._world, self._pending, self._landing, self._leaving = world, pending, landing, leaving
        self._what, self._number, self._epoch = what, number, world._epoch

    def finish(self) -> None:
        """Wait for the messages."""
        world, watch = self._world, self._world._watch
        if self._epoch != watch.epoch:
            world.fail(overtaken(self._what))
        world._wait(self._pending, self._what, self._number, [rank for rank, *_ in self._landing + self._leaving])
        watch.open.discard(self)
        for _, _, land in self._landing:
            if land is not None:
                land()
