"""Waiting for ranks that are other processes, and what happens when that is in vain.

All waiting goes through one `Watch`. A wait that is over soon costs nothing else. A rank that has waited longer looks
for notices of the others, which travel apart from all other messages (`distdl_ops.worlds.post`):

ask
    "I am in this operation, and wait for you." Operations are numbered alike on all ranks of a group; a rank that was
    in another one at that number sees that they disagree.
line
    "I cannot go on, for this reason." Whoever reads it says what it is doing, too. When all ranks have said so, each
    makes the same error of it (`distdl_ops.worlds.agreement.story`). If anything may be under way, connections are
    made anew, so that it cannot be taken for something later. When some do not come, the job is not usable any more.
here
    "I am here", before connections between the ranks of a group are made.
ended
    "I end, after so many operations."
"""

from __future__ import annotations

import contextlib
import pickle
import time
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn, final

from distdl_ops.worlds.agreement import Line, inside, line_of, name_ranks, raise_found, story
from distdl_ops.worlds.post import LONGEST_PAUSE, Pending, Post, pause

ASK = 0.2
"""Seconds that a rank waits before it asks those that it waits for where they are."""

PATIENCE = 20.0
"""Seconds in which the others must have come when a rank cannot go on."""

FAREWELL = 0.5
"""Seconds for which a rank that ends stays for others that end with it."""

REMEMBERED = 64
"""How many of the last operations of a group a rank remembers."""

Group = tuple[int, ...]
"""The ranks of a world, by their numbers in the job."""


@dataclass(frozen=True)
class Epilogue:
    """What a rank that ends tells of the operations of a group: how many, and checksums of the last ones."""

    count: int
    last: tuple[int, ...]

    def took_part(self, number: int, what: str) -> bool:
        """Say whether it began the operation with this number; what is forgotten is taken to be the same."""
        back = number - self.count - 1
        return back < 0 and (back < -len(self.last) or self.last[back] == zlib.crc32(what.encode()))


@final
class Log:
    """The operations that a group of ranks has begun, as one of them saw it."""

    def __init__(self) -> None:
        self.count = 0
        self._last: deque[str] = deque(maxlen=REMEMBERED)

    def enter(self, what: str) -> int:
        """Note that an operation begins; return its number, from one."""
        self._last.append(what)
        self.count += 1
        return self.count

    def other_than(self, number: int, what: str) -> str | None:
        """Return what the operation with this number was, where it is known and was another one."""
        back = number - self.count - 1
        if not -len(self._last) <= back < 0 or self._last[back] == what:
            return None
        return self._last[back]

    def epilogue(self) -> Epilogue:
        """Return what is told at the end."""
        return Epilogue(self.count, tuple(zlib.crc32(what.encode()) for what in self._last))


class Notices:
    """What other ranks have said since the last failure."""

    def __init__(self) -> None:
        self.lines: dict[int, tuple[Line, int | None]] = {}
        self.asked: dict[tuple[Group, int], tuple[int, str]] = {}
        self.here: set[tuple[Group, int]] = set()


@final
class Watch:
    """What the worlds of a job share in order to wait.

    Parameters
    ----------
    post : Post
        Carries notices between all ranks of the job. Ranks are named by their number there.
    timeout : float
        Seconds after which waiting is given up.

    Attributes
    ----------
    epoch : int
        How often connections have been made anew.
    logs : dict
        The operations begun since, by group.
    open : set
        The exchanges that have started and not finished. They are kept here, and with them the memory that messages
        land in, when nobody finishes them.
    """

    def __init__(self, post: Post, timeout: float) -> None:
        self.rank, self.size, self.timeout = post.rank, post.size, timeout
        self._post = post
        self.epoch = 0
        self.open: set[object] = set()
        self.logs: dict[Group, Log] = {}
        self._everyone = tuple(range(self.size))
        self._notices: dict[int, Notices] = {}  # by epoch: a rank may be ahead
        self._failures = 0
        self._ended: dict[int, dict[Group, Epilogue]] = {}
        self._broken: Exception | None = None
        self._kept: list[object] = []  # they keep their buffers: a late message must not land elsewhere

    def wait(self, pending: Pending, what: str, group: Group, number: int, peers: Sequence[int]) -> None:
        """Wait for messages.

        Parameters
        ----------
        pending : Pending
            For what.
        what : str
            Which operation it is.
        group : tuple of int
            Whose.
        number : int
            Its number in the log of the group.
        peers : sequence of int
            Who must do something for it, by their numbers in the group.

        Raises
        ------
        TimeoutError
            When it takes longer than the timeout.
        DeadlockError
            When one of the peers has ended before this operation.
        AgreementError
            When a rank is in another operation.
        Exception
            What another rank raises.
        """
        if self._broken is not None:
            raise self._unusable()
        try:
            if pending.wait(0):
                return
            began, asked = time.monotonic(), False
            others = {group[peer] for peer in peers} - {self.rank}
            turn, fault = 0, None
            while fault is None:
                waited = time.monotonic() - began
                if waited > self.timeout:
                    others = {group[peer] for peer in pending.late(peers)} - {self.rank}
                self._look()
                fault = self._fault(waited, what, group, number, others)
                if fault is None and waited > ASK and not asked:
                    self._say(("ask", self._failures, (group, number, what)), others)
                    asked = True
                turn += 1
                if fault is None and pending.wait(turn):
                    return
        except self._post.errors as error:
            fault = self._failure(error, what, number)
        except BaseException:  # an interrupt
            pending.abandon()
            raise
        try:
            self._raise(fault, None)
        finally:
            pending.abandon()
            self._kept.append(pending)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised when a message cannot be sent or received."""
        return self._post.errors

    def give_up(self, error: Exception, what: str, number: int) -> NoReturn:
        """Let all ranks raise, for messages of an operation cannot be sent or received."""
        self._raise(self._failure(error, what, number), None)

    def _failure(self, error: Exception, what: str, number: int) -> Line:
        """Return what a rank says whose messages cannot be sent or received in an operation."""
        with contextlib.suppress(*self.errors):
            self._look()
        gone = sorted(self._ended)
        ended = f"{name_ranks(gone)} ended; " if gone else ""
        return Line("" if self._heard().lines else self._post.kind, f"{inside(what, number)}: {ended}{error}")

    def _fault(self, waited: float, what: str, group: Group, number: int, peers: set[int]) -> Line | None:
        """Return what keeps this rank from going on in an operation; None while there is nothing."""
        notices = self._heard()
        for (asked_of, _), (there, asked) in notices.asked.items():
            mine = self.logs[asked_of].other_than(there, asked) if asked_of in self.logs else None
            if mine is not None:
                return Line("AgreementError", inside(mine, there))
        if notices.lines and waited > ASK:  # what is waited for may be on its way all the same
            return Line("", inside(what, number))
        gone = [r for r in sorted(peers & self._ended.keys()) if not self._took_part(r, group, number, what)]
        if gone:
            return Line("DeadlockError", f"waits for {name_ranks(gone)}, which ended, {inside(what, number)}")
        if waited > self.timeout:
            return Line(
                "TimeoutError", f"waited {self.timeout:g} s for {name_ranks(sorted(peers))} {inside(what, number)}"
            )
        return None

    def _took_part(self, rank: int, group: Group, number: int, what: str) -> bool:
        """Say whether a rank that has ended began an operation before."""
        told = self._ended[rank].get(group)
        return told is not None and told.took_part(number, what)

    def fail(self, error: Exception) -> NoReturn:
        """Raise an error, and make all ranks raise; see `World.fail`."""
        clean = sum(log.count for log in self.logs.values()) if not self.open else None
        try:
            self._raise(line_of(error), clean)
        except Exception as found:
            raise_found(found, error)

    def _raise(self, line: Line, clean: int | None) -> NoReturn:
        """Tell all ranks why this one cannot go on, hear what they are doing, and raise what all of them raise.

        `clean` is the number of operations so far where this rank is in none, else None.
        """
        if self._broken is not None:
            raise self._unusable()
        lines = self._heard().lines
        lines[self.rank] = line, clean
        self._say(("line", self._failures, lines[self.rank]), self._everyone)
        deadline = time.monotonic() + min(PATIENCE, self.timeout)
        while len(lines.keys() | self._ended.keys()) < self.size and time.monotonic() < deadline:
            self._look()
            time.sleep(LONGEST_PAUSE)
        missing = [rank for rank in self._everyone if rank not in lines]
        told = {rank: line for rank, (line, _) in lines.items()}
        told.update({rank: Line("", "has ended" if rank in self._ended else "has not come") for rank in missing})
        error = story(told)
        if missing:
            self._broken = error
        del self._notices[self._failures]
        self._failures += 1
        if None in (states := {clean for _, clean in lines.values()}) or len(states) > 1:
            self.epoch += 1
            self.logs = {}
            self._kept += self.open
            self.open = set()
        raise error

    def meet(self, group: Group) -> None:
        """Wait until all of a group are here: after that, a call that blocks does not block for long."""
        first, *others = group
        if self.rank != first:
            self._say(("here", self._failures, group), [first])
            others = [first]
        pending = _Arrivals(self, group, others)
        self.wait(pending, f"a world of ranks {group}", group, 0, [group.index(rank) for rank in others])
        if self.rank == first:
            self._say(("here", self._failures, group), others)

    def arrived(self, group: Group, ranks: Iterable[int]) -> bool:
        """Say whether some ranks have said that they are here."""
        self._look()
        return all((group, rank) in self._heard().here for rank in ranks)

    def leave(self) -> None:
        """Tell all ranks that this one ends, and wait a little for others that end, too."""
        told = {group: log.epilogue() for group, log in self.logs.items()}
        self._say(("ended", 0, told), self._everyone)
        deadline = time.monotonic() + FAREWELL
        with contextlib.suppress(*self.errors):
            while len(self._ended) < self.size - 1 and time.monotonic() < deadline:
                self._look()
                time.sleep(LONGEST_PAUSE)

    def _unusable(self) -> Exception:
        """Return the error of a job that some ranks have left."""
        return type(self._broken)(f"this world is not usable any more: {self._broken}")  # type: ignore[misc]

    def _heard(self) -> Notices:
        """Return what others have said since the last failure."""
        return self._notices.setdefault(self._failures, Notices())

    def _say(self, notice: tuple[str, int, object], ranks: Iterable[int]) -> None:
        """Send a notice."""
        told = pickle.dumps(notice)
        for rank in ranks:
            if rank != self.rank:
                self._post.send(told, rank)

    def _look(self) -> None:
        """Read the notices of other ranks."""
        for sender, told in self._post.receive():
            kind, failures, found = pickle.loads(told)
            if kind == "ended":
                self._ended[sender] = found
                continue
            notices = self._notices.setdefault(failures, Notices())  # of a rank that is ahead: for later
            if kind == "line":
                notices.lines[sender] = found
            elif kind == "here":
                notices.here.add((found, sender))
            else:
                group, number, what = found
                notices.asked[group, sender] = number, what


@final
class _Arrivals(Pending):
    """Ranks of a group that have still to come."""

    def __init__(self, watch: Watch, group: Group, ranks: Sequence[int]) -> None:
        self._watch, self._group, self._ranks = watch, group, ranks

    def wait(self, turn: int) -> bool:
        """Look whether they are here."""
        if turn:
            pause(turn)
        return self._watch.arrived(self._group, self._ranks)

    def late(self, peers: Sequence[int]) -> Sequence[int]:
        """Return those who are not."""
        return [peer for peer in peers if not self._watch.arrived(self._group, [self._group[peer]])]

    def abandon(self) -> None:
        """Do nothing: nobody else waits."""
