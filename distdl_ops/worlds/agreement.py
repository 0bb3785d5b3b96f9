"""Agreement: what can fail on one rank is settled before any rank goes on.

A rank that raised alone would leave the others waiting for it. So every rank says what it has, and all of them go on
or all of them raise, with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from distdl_ops.worlds.world import World

T = TypeVar("T")


class AgreementError(ValueError):
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
    ValueError, TypeError
        What `build` raised, when it raised the same on every rank.
    """
    failure: Exception | None = None
    try:
        value = build()
        found = str(describe(value))
    except (ValueError, TypeError) as error:
        failure, found = error, f"{type(error).__name__}: {error}"
    everyone = world.allgather((failure is None, found), what)
    if len(set(everyone)) > 1:
        raise AgreementError(f"{what}: the ranks disagree. {tell_apart([f for _, f in everyone])}") from failure
    if failure is not None:
        raise failure
    return value


def tell_apart(descriptions: Sequence[str]) -> str:
    """Return who has what, each description once with the ranks that have it."""
    ranks: dict[str, list[int]] = {}
    for rank, description in enumerate(descriptions):
        ranks.setdefault(description, []).append(rank)
    return "; ".join(f"{name_ranks(who)}: {description}" for description, who in ranks.items())


def name_ranks(ranks: Sequence[int]) -> str:
    """Return ``rank 1`` or ``ranks 0, 2``; of a long list, its beginning."""
    shown = ", ".join(str(rank) for rank in ranks[:8]) + (", ..." if len(ranks) > 8 else "")
    return f"rank {shown}" if len(ranks) == 1 else f"ranks {shown}"
