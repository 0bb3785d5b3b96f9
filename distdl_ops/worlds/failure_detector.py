"""Waiting for ranks that are other processes, and what happens when that is in vain.

All waiting goes through one `FailureDetector`, which the worlds of a job share. A wait that is over soon costs nothing
else. A rank that has waited longer looks for notices of the others, which travel apart from all other messages
(`distdl_ops.worlds.notices`):

ask
    "I am in this operation, and wait for you." Only those who are late are asked. Operations are numbered alike on all
    ranks of a world; a rank that was in another one at that number sees that they disagree. A rank that has not begun
    it, and waits in its turn, asks those that it waits for on behalf of the first: where such a question comes back,
    ranks wait for each other in a circle.
line
    "I cannot go on, for this reason." Whoever reads it says what it is doing, too.
ready
    "I have heard a line of every rank." When all ranks have said so, each makes the same error of the lines
    (`distdl_ops.worlds.agreement.story`), and none can think that another one did not come. If a message may still be
    under way, all of them are received or cancelled first, so that none can be taken for a later one.
gone
    "Some have not come in time; this is the story." Whoever reads it, however late, raises that story; the job is not
    usable any more, on any rank.
here
    "I am here", before a group of ranks makes a communicator.
ended
    "I end, after so many operations."

A rank is late when the timeout of the world is over. Until then, nobody is left behind.
"""

from __future__ import annotations

import contextlib
import pickle
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, final

from distdl_ops.worlds.agreement import Line, inside, line_of, name_ranks, raise_found, story
from distdl_ops.worlds.call import Call, Caller, in_call, key_of
from distdl_ops.worlds.notices import LONGEST_PAUSE, NoticeChannel, Pending, pause

ASK = 0.2
"""Seconds that a rank waits before it asks those that it waits for where they are."""

AGAIN = 0.05
"""Seconds after which it looks again who is late."""

GRACE = 20.0
"""Seconds beyond the timeout, or the timeout if that is less, in which ranks that wait as well have to answer."""

FAREWELL = 0.5
"""Seconds for which a rank that ends stays for others that end with it."""

REMEMBERED = 16
"""How many of the last operations of a world a rank remembers, with all that is noted of them."""

STAMPED = 256
"""Of how many it remembers a number that stands for them."""

Group = tuple[int, ...]
"""The ranks of a world, by their numbers in the job."""

Key = tuple[int, Group]
"""A world: which of those that were started, and which of its ranks."""

Pieces = Sequence[tuple[int, int]]
"""Ranks of a world, and how many bytes go to them or come from them."""

Size = int | tuple[Pieces, Pieces] | None
"""Bytes of a collective; what an exchange sends and receives; None where they may differ between ranks."""

Entry = tuple[str, Call | None, Size, int, int]
"""An operation: its name, the call that it belongs to, its size, its number, and a stamp that stands for the rest."""


def size_for(size: Size, peer: int, *, mirrored: bool = False) -> tuple[int | None, ...] | int | None:
    """Return what of an operation's size another rank must have alike: what goes to it, and what comes from it."""
    if not isinstance(size, tuple):
        return size
    sent, received = (next((n for rank, n in pieces if rank == peer), None) for pieces in size)
    return (received, sent) if mirrored else (sent, received)


@dataclass(frozen=True)
class Epilogue:
    """What a rank that ends tells of the operations of a world: how many, and the stamps of the last ones."""

    count: int
    last: tuple[int, ...]

    def took_part(self, entry: Entry) -> bool:
        """Say whether it began an operation; what is forgotten is taken to be the same."""
        number, stamp = entry[3:]
        back = number - self.count - 1
        return back < 0 and (back < -len(self.last) or self.last[back] == stamp)


class Ask(NamedTuple):
    """A question to a rank that is waited for.

    Attributes
    ----------
    first, wait : int
        The rank that asked first, and which of its waits that was.
    sender : int
        The rank that asks on its behalf.
    key, number, stamp, size
        The operation in which the sender waits, and what of its size concerns the receiver.
    peer : int
        The sender's number in that world.
    """

    first: int
    wait: int
    sender: int
    key: Key
    number: int
    stamp: int
    size: tuple[int | None, ...] | int | None
    peer: int


@final
class Log:
    """The operations that a world's ranks have begun, as one of them saw it."""

    def __init__(self) -> None:
        self.count = 0
        self._last: list[Entry | None] = [None] * REMEMBERED
        self._stamps = array("q", bytes(8 * STAMPED))

    def enter(self, what: str, call: Call | None, size: Size, label: int) -> Entry:
        """Note that an operation begins; return what is noted of it. They are numbered from one."""
        self.count = number = self.count + 1
        stamp = hash((label, number, key_of(what), 0 if call is None else call.key))
        self._stamps[number % STAMPED] = stamp
        self._last[number % REMEMBERED] = entry = what, call, size, number, stamp
        return entry

    def other_than(self, ask: Ask) -> tuple[Entry | None, str] | None:
        """Return what the operation of a question was here, where that was another one: all that is known of it."""
        back = self.count - ask.number
        if not 0 <= back < STAMPED:
            return None
        other = self._stamps[ask.number % STAMPED] != ask.stamp
        entry = self._last[ask.number % REMEMBERED]
        if back >= REMEMBERED or entry is None:
            return (None, f"in an operation that is forgotten (operation {ask.number})") if other else None
        if other:
            return entry, ""
        expected = size_for(entry[2], ask.peer, mirrored=True)
        if expected == ask.size:
            return None
        if not isinstance(expected, tuple):
            return entry, f", with {expected} bytes"
        received, sent = expected
        return entry, f", sends rank {ask.peer} {sent or 0} bytes and expects {received or 0} of it"

    def epilogue(self) -> Epilogue:
        """Return what is told at the end."""
        first = max(1, self.count - REMEMBERED + 1)
        return Epilogue(self.count, tuple(self._stamps[k % STAMPED] for k in range(first, self.count + 1)))


class Notices:
    """What other ranks have said since the last failure."""

    def __init__(self) -> None:
        self.lines: dict[int, tuple[Line, int | None, Any]] = {}
        self.ready: set[int] = set()
        self.gone: dict[int, Line] | None = None
        self.asked: dict[tuple[int, int], Ask] = {}
        self.here: set[tuple[Group, int]] = set()


@dataclass
class Wait:
    """A wait that takes long.

    Attributes
    ----------
    key, entry
        The world, and the operation.
    timeout : float
        Seconds after which it is given up.
    number : int
        Which wait of this rank it is.
    began : float
        When it began.
    late : set of int
        Who is waited for, by their numbers in the job.
    asked : set
        Who has been asked, on whose behalf.
    looked : float
        How long it had lasted when that was found out.
    """

    key: Key
    entry: Entry
    timeout: float
    number: int
    late: set[int]
    began: float
    asked: set[tuple[int, int, int]] = field(default_factory=set)
    looked: float = 0.0


@final
class FailureDetector:
    """What the worlds of a job share in order to wait.

    Parameters
    ----------
    channel : NoticeChannel
        Carries notices between all ranks of the job. Ranks are named by their number there.

    Attributes
    ----------
    caller : Caller
        The thread that the job's worlds belong to, and the call that it is in.
    failures : int
        How often all ranks have raised together.
    epoch : int
        How often operations have been numbered anew.
    worlds : int
        How many worlds have been started, apart from those of some ranks of another one.
    logs : dict
        The operations begun since, by world.
    open : dict
        The exchanges that have started and not finished, and their messages. They are kept here, and with them the
        memory that messages land in, when nobody finishes them.
    hosts : tuple of int
        The host of each rank; empty before the first world is made.
    several_hosts : bool
        Whether there is more than one.
    """

    def __init__(self, channel: NoticeChannel) -> None:
        self.rank, self.size = channel.rank, channel.size
        self.caller = Caller(channel.rank, lends=True)
        self.failures = self.epoch = self.worlds = 0
        self.open: dict[object, Pending] = {}
        self.hosts: tuple[int, ...] = ()
        self.several_hosts = False
        self.logs: dict[Key, Log] = {}
        self.channel = channel
        self._everyone = tuple(range(self.size))
        self._notices: dict[int, Notices] = {}  # by failures: a rank may be ahead
        self._ended: dict[int, dict[Key, Epilogue]] = {}
        self._broken: Exception | None = None
        self._kept: list[object] = []  # they keep their buffers: a late message must not land elsewhere
        self._waits = 0

    def require_usable(self) -> None:
        """Raise where some ranks have left the job."""
        if self._broken is not None:
            raise self._unusable()

    def wait(
        self, pending: Pending, key: Key, entry: Entry, timeout: float, peers: Sequence[int] | None = None
    ) -> None:
        """Wait for messages.

        Parameters
        ----------
        pending : Pending
            For what.
        key : Key
            The world.
        entry : Entry
            Which operation it is.
        timeout : float
            Seconds after which waiting is given up.
        peers : sequence of int, optional
            Who must do something for it, by their numbers in the world; by default, with whom something is exchanged.

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
        began: float | None = None
        try:
            if pending.wait(0):
                return
            self._waits += 1
            began, turn, fault = time.monotonic(), 0, None
            if peers is None:
                size = entry[2]
                peers = [rank for pieces in reversed(size) for rank, _ in pieces] if isinstance(size, tuple) else []
            wait = Wait(key, entry, timeout, self._waits, {key[1][peer] for peer in peers} - {self.rank}, began)
            while fault is None:
                self._look()
                fault = self._fault(wait, pending, peers)
                turn += 1
                if fault is None and pending.wait(turn):
                    return
        except self.channel.errors as error:
            fault = self._failure(error, self.where(key, entry))
        except BaseException:  # an interrupt
            pending.abandon()
            self._kept.append(pending)
            raise
        patience = timeout if began is None else began + timeout - time.monotonic()
        self._raise(fault, None, patience, timeout, pending)

    def where(self, key: Key, entry: Entry) -> str:
        """Return in which operation a rank is, in words; and of which world, where that is not the first one."""
        serial, group = key
        what, call, _, number, _ = entry
        of = f" of world {serial}" if serial > 1 else ""
        of += f" of {name_ranks(group)}" if group != self._everyone else ""
        return inside(in_call(what, call), f"{number}{of}")

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised when a message cannot be sent or received."""
        return self.channel.errors

    def give_up(self, error: Exception, key: Key, entry: Entry, timeout: float) -> NoReturn:
        """Let all ranks raise, for messages of an operation cannot be sent or received."""
        self._raise(self._failure(error, self.where(key, entry)), None, timeout, timeout)

    def _failure(self, error: Exception, place: str) -> Line:
        """Return what a rank says whose messages cannot be sent or received in an operation."""
        with contextlib.suppress(*self.errors):
            self._look()
        gone = sorted(self._ended)
        ended = f"{name_ranks(gone)} ended; " if gone else ""
        return Line("" if self._heard().lines else self.channel.kind, f"{place}: {ended}{error}")

    def _fault(self, wait: Wait, pending: Pending, peers: Sequence[int]) -> Line | None:
        """Return what keeps this rank from going on in an operation; None while there is nothing."""
        notices = self._heard()
        for ask in list(notices.asked.values()):
            log = self.logs.get(ask.key)
            entry_here = None if log is None else log.other_than(ask)
            if entry_here is not None:
                entry, more = entry_here
                return Line("AgreementError", ("" if entry is None else self.where(ask.key, entry)) + more)
            self._drop_answered(ask)
        waited = time.monotonic() - wait.began
        if notices.gone is not None:
            return Line("", self.where(wait.key, wait.entry))
        if waited <= ASK:
            return None
        if notices.lines:  # what is waited for may have been on its way all the same
            return Line("", self.where(wait.key, wait.entry))
        if waited - wait.looked > AGAIN or waited > wait.timeout:
            wait.looked = waited
            wait.late = {wait.key[1][peer] for peer in pending.late(peers)} - {self.rank}
        place = self.where(wait.key, wait.entry)
        gone = [r for r in sorted(wait.late & self._ended.keys()) if not self._took_part(r, wait)]
        if gone:
            return Line(
                "DeadlockError", f"waits for {name_ranks(gone)}, which ended, {self.where(wait.key, wait.entry)}"
            )
        if waited > wait.timeout:
            return Line(
                "TimeoutError",
                f"waited {wait.timeout:g} s for {name_ranks(sorted(wait.late))} {self.where(wait.key, wait.entry)}",
            )
        self._ask(wait, self.rank, wait.number)
        for ask in notices.asked.values():
            if (ask.first, ask.wait) == (self.rank, wait.number):
                return Line("AgreementError", place)  # they wait for each other in a circle
            if ask.first < self.rank:  # the lowest rank of a circle is enough
                self._ask(wait, ask.first, ask.wait)
        return None

    def _drop_answered(self, ask: Ask) -> None:
        """Forget a question about an operation that this rank has begun, and in which nothing was amiss."""
        log = self.logs.get(ask.key)
        if log is not None and ask.number <= log.count and log.other_than(ask) is None:
            del self._heard().asked[ask.first, ask.sender]

    def _ask(self, wait: Wait, first: int, number: int) -> None:
        """Ask those that are late, once, on behalf of a rank."""
        key, me = wait.key, wait.key[1].index(self.rank)
        for rank in wait.late:
            if (first, number, rank) not in wait.asked:
                wait.asked.add((first, number, rank))
                _, _, size, operation, stamp = wait.entry
                ask = Ask(first, number, self.rank, key, operation, stamp, size_for(size, key[1].index(rank)), me)
                self._say(("ask", self.failures, ask), [rank])

    def _took_part(self, rank: int, wait: Wait) -> bool:
        """Say whether a rank that has ended began an operation before."""
        epilogue = self._ended[rank].get(wait.key)
        return epilogue is not None and epilogue.took_part(wait.entry)

    def fail(self, error: Exception, timeout: float) -> NoReturn:
        """Raise an error, and make all ranks raise; see `World.fail`."""
        clean = sum(log.count for log in self.logs.values()) if not self.open else None
        try:
            self._raise(line_of(error), clean, timeout, timeout)
        except Exception as found:
            raise_found(found, error)

    def _raise(
        self, line: Line, clean: int | None, patience: float, timeout: float, pending: Pending | None = None
    ) -> NoReturn:
        """Tell all ranks why this one cannot go on, hear what they are doing, and raise what all of them raise.

        `clean` is the number of operations so far where this rank is in none, else None. Ranks may be late for the
        patience, and some grace.
        """
        self.require_usable()
        notices = self._heard()
        notices.lines[self.rank] = line, clean, self.channel.begun()
        unfinished = list(dict.fromkeys([*self.open.values(), *([] if pending is None else [pending])]))  # each once
        if notices.gone is None:
            self._say(("line", self.failures, notices.lines[self.rank]), self._everyone)
        deadline = time.monotonic() + max(patience, 0) + min(GRACE, timeout)
        turn = 0
        while notices.gone is None and len(notices.ready) < self.size:
            if self.rank not in notices.ready and len(notices.lines) == self.size:
                notices.ready.add(self.rank)
                self._say(("ready", self.failures, None), self._everyone)
                deadline = time.monotonic() + timeout + GRACE  # all others are here, and hear all lines as well
            left = any(
                self._ended.keys() - said and len(said | self._ended.keys()) == self.size
                for said in (notices.lines.keys(), notices.ready)
            )
            if left or time.monotonic() > deadline:
                notices.gone = self._lines(notices)
                self._say(("gone", self.failures, notices.gone), self._everyone)
                break
            turn += 1
            pause(turn)
            with contextlib.suppress(*self.errors):
                self._look()
        error = story(self._lines(notices) if notices.gone is None else notices.gone)
        states = {clean for _, clean, _ in notices.lines.values()}
        if notices.gone is not None:
            self._break(error, unfinished)
        elif None in states or len(states) > 1:
            self.open = {}
            begun = {rank: begun for rank, (_, _, begun) in notices.lines.items()}
            if self.channel.clear(unfinished, begun, time.monotonic() + timeout + GRACE):
                self.epoch += 1
                self.logs = {}
            else:
                self._break(error, unfinished)
        del self._notices[self.failures]
        self.failures += 1
        try:
            raise error
        finally:
            del error, unfinished, pending  # the error refers to this frame, which would keep them and itself

    def _lines(self, notices: Notices) -> dict[int, Line]:
        """Return what every rank says, or what is known of it."""
        lines = {rank: line for rank, (line, _, _) in notices.lines.items()}
        for rank in self._everyone:
            lines.setdefault(rank, Line("", "has ended" if rank in self._ended else "has not come"))
        return lines

    def _break(self, error: Exception, unfinished: Sequence[Pending]) -> None:
        """Let nothing be begun any more."""
        self._broken = error
        self.epoch += 1  # whoever begins an operation looks whether it may
        self._kept += unfinished
        for pending in unfinished:
            pending.abandon()

    def meet(self, key: Key, entry: Entry, timeout: float) -> None:
        """Wait in an operation until all ranks of a world are here: what blocks then does not block for long."""
        _, group = key
        first, *others = group
        if self.rank != first:
            self._say(("here", self.failures, group), [first])
            others = [first]
        pending = _Arrivals(self, group, others)
        self.wait(pending, key, entry, timeout, [group.index(rank) for rank in others])
        if self.rank == first:
            self._say(("here", self.failures, group), others)

    def arrived(self, group: Group, ranks: Iterable[int]) -> bool:
        """Say whether some ranks have said that they are here."""
        self._look()
        return all((group, rank) in self._heard().here for rank in ranks)

    def look(self) -> None:
        """Read what others ask now and then, lest it pile up on a rank that never waits for long."""
        with contextlib.suppress(*self.errors):
            self._look()
            for ask in list(self._heard().asked.values()):
                self._drop_answered(ask)

    def leave(self) -> None:
        """Tell all ranks that this one ends, and wait a little for others that end, too."""
        epilogues = {key: log.epilogue() for key, log in self.logs.items()}
        self._say(("ended", 0, epilogues), self._everyone)
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
        return self._notices.setdefault(self.failures, Notices())

    def _say(self, notice: tuple[str, int, object], ranks: Iterable[int]) -> None:
        """Send a notice."""
        message = pickle.dumps(notice)
        for rank in ranks:
            if rank != self.rank:
                self.channel.send(message, rank)

    def _look(self) -> None:
        """Read the notices of other ranks."""
        for sender, message in self.channel.receive():
            kind, failures, content = pickle.loads(message)
            if kind == "ended":
                self._ended[sender] = content
                continue
            if failures < self.failures:  # a question that has been answered
                continue
            notices = self._notices.setdefault(failures, Notices())  # of a rank that is ahead: for later
            if kind == "line":
                notices.lines[sender] = content
            elif kind == "ready":
                notices.ready.add(sender)
            elif kind == "gone":
                notices.gone = notices.gone or content
            elif kind == "here":
                notices.here.add((content, sender))
            else:
                notices.asked[content.first, sender] = content


def latest(begun: Mapping[int, Any], key: object) -> Any:
    """Return what the rank that is furthest has begun under a key; an empty tuple where nobody has begun anything."""
    return max((begun_by.get(key, (0, ())) for begun_by in begun.values()), key=lambda begun_by: begun_by[0])


@final
class _Arrivals(Pending):
    """Ranks of a group that have still to come."""

    def __init__(self, detector: FailureDetector, group: Group, ranks: Sequence[int]) -> None:
        self._detector, self._group, self._ranks = detector, group, ranks

    def wait(self, turn: int) -> bool:
        """Look whether they are here."""
        if turn:
            pause(turn)
        return self._detector.arrived(self._group, self._ranks)

    def late(self, peers: Sequence[int]) -> Sequence[int]:
        """Return those who are not; `peers` and the ranks are in one order."""
        return [p for p, r in zip(peers, self._ranks, strict=True) if not self._detector.arrived(self._group, [r])]

    def abandon(self) -> None:
        """Do nothing: nobody else waits."""
