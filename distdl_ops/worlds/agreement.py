"""Agreement: what can fail on one rank is settled before any rank goes on.

A rank that raised alone would leave the others waiting for it. So every rank says what it has, and all of them go on
or all of them raise, with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn, TypeVar

from distdl_ops.worlds.world import DeadlockError, World
from linop.errors import ArgumentError, ArgumentTypeError, ProcessError, SpaceError, of_all

T = TypeVar("T")


class AgreementError(ProcessError, ValueError):
    """The ranks do not agree; the message says which rank has what, and is the same on all of them."""


def agreed(world: World, what: str, build: Callable[[], T], describe: Callable[[T], object] = repr) -> T:
    """Return ``build()`` if it succeeds on every rank, with the same description.

    Collective over `world`.

    Parameters
    ----------
    world : World
        Who must agree.
    what : str
        What is being built, for the error.
    build : callable
        Makes the value of this rank; it must not communicate.
    describe : callable, optional
        Takes the value and returns what must be the same everywhere: ``repr`` by default.

    Raises
    ------
    AgreementError
        On every rank, when `build` failed on some ranks only, or the descriptions differ.
    Exception
        What `build` raised, when it raised the same on every rank.
    """
    failure: Exception | None = None
    try:
        value = build()
        description = str(describe(value))
    except Exception as error:
        failure, description = error, f"{type(error).__name__}: {error}"
    everyone = world.allgather((failure is None, description), what)
    if len(set(everyone)) > 1:
        raise AgreementError(f"{what}: the ranks disagree. {tell_apart([f for _, f in everyone])}") from failure
    if failure is not None:
        raise of_all(failure)
    return value


def tell_apart(descriptions: Sequence[str] | Mapping[int, str]) -> str:
    """Return who has what, each description once with the ranks that have it."""
    by_rank = descriptions if isinstance(descriptions, Mapping) else dict(enumerate(descriptions))
    ranks: dict[str, list[int]] = {}
    for rank, description in sorted(by_rank.items()):
        ranks.setdefault(description, []).append(rank)
    return "; ".join(f"{name_ranks(who)}: {description}" for description, who in ranks.items())


def name_ranks(ranks: Sequence[int]) -> str:
    """Return ``rank 1`` or ``ranks 0, 2``; of a long list, its beginning."""
    shown = ", ".join(str(rank) for rank in ranks[:8]) + (", ..." if len(ranks) > 8 else "")
    return f"rank {shown}" if len(ranks) == 1 else f"ranks {shown}"


# -- when a rank cannot go on ------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """What a rank says when a rank cannot go on.

    Attributes
    ----------
    kind : str
        Name of the error that it raises; empty when it only waits.
    words : str
        The message of that error, or the operation that it is in.
    """

    kind: str
    words: str


def inside(what: str, number: int | str) -> str:
    """Return where a rank is: in which operation, and in which of those that its ranks have begun, from one."""
    return f"in {what} (operation {number})"


def overtaken(what: str) -> AgreementError:
    """Return the error of an operation that was under way when the ranks disagreed."""
    return AgreementError(f"{what} started before the ranks disagreed, and cannot finish")


KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        *(SpaceError, AgreementError, ArgumentError, ArgumentTypeError),
        *(TimeoutError, DeadlockError, TypeError, ValueError),
    )
}
"""Errors that are raised on all ranks, by their names."""


def line_of(error: Exception) -> Line:
    """Return what a rank says that raises an error."""
    kind = next((name for name, kind in KINDS.items() if isinstance(error, kind)), "ValueError")
    return Line(kind, str(error))


def raise_found(shared: Exception, error: Exception) -> NoReturn:
    """Raise what all ranks raise; a rank's own error itself, with its cause, where they are the same."""
    try:
        raise of_all(error if str(shared) == str(error) else shared) from None
    finally:
        del shared, error  # what is raised refers to this frame, which would keep it


EARLIER = "; an earlier call differed: its function, its arguments, or the layout of its tensors"


def story(lines: Mapping[int, Line]) -> Exception:
    """Return the error that all ranks raise, from what every rank says.

    Examples
    --------
    >>> story({0: Line("SpaceError", "found shape (3,)"), 1: Line("SpaceError", "found shape (3,)")})
    SpaceError('found shape (3,)')
    >>> story({0: Line("", "in Broadcast"), 1: Line("TypeError", "found a list"), 2: Line("", "in Broadcast")})
    TypeError('the ranks disagree. ranks 0, 2: in Broadcast; rank 1: found a list')
    """
    kind = next(line.kind for _, line in sorted(lines.items()) if line.kind)
    if len({line.words for line in lines.values()}) == 1:
        words = next(iter(lines.values())).words
        if kind == "AgreementError" and words.startswith("in ") and " of function " in words:
            words += EARLIER  # all are in the same operation: only what its argument was computed from differs
        return of_all(KINDS[kind](words))
    words = tell_apart({rank: line.words for rank, line in lines.items()})
    words = f"the ranks disagree. {words}" if kind not in ("TimeoutError", "DeadlockError") else words
    return of_all(KINDS[kind](words))
