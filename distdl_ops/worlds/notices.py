"""What an engine whose ranks are processes does for `failure_detector`: carry notices, and wait for a moment."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

LONGEST_PAUSE = 1e-3
"""Seconds that a rank sleeps between two looks at most."""


def pause(turn: int) -> None:
    """Sleep: the longer, the more turns there have been."""
    time.sleep(min(1e-5 * 2 ** min(turn, 10), LONGEST_PAUSE))


class NoticeChannel(ABC):
    """Carries notices between the ranks of a job. They are small, and nobody need receive them. Abstract.

    Attributes
    ----------
    rank, size : int
        This rank, and how many there are.
    errors : tuple of types
        What is raised when a message cannot be sent or received.
    kind : str
        Name of the error that all ranks raise then.
    """

    rank: int
    size: int
    errors: tuple[type[Exception], ...]
    kind: str

    @abstractmethod
    def send(self, notice: bytes, rank: int) -> None:
        """Send a notice, without waiting."""

    @abstractmethod
    def receive(self) -> list[tuple[int, bytes]]:
        """Return the notices that have come since the last call, each with who has sent it."""

    def keep_moving(self, under_way: Collection[object]) -> None:  # noqa: B027  (most need nothing)
        """Let messages move while this rank computes, as long as something is under way. By default they do so."""

    def begun(self) -> Any:
        """Return what others must know of what this rank has begun, when nothing shall be under way any more."""
        return None

    @abstractmethod
    def clear(self, unfinished: Sequence[Pending], begun: Mapping[int, Any], deadline: float) -> bool:
        """Let nothing be under way between the ranks any more. All of them call it, and begin nothing meanwhile.

        Parameters
        ----------
        unfinished : sequence of Pending
            The messages of this rank that may be under way. Afterwards nobody touches their buffers.
        begun : mapping
            What each rank's `begun` has returned.
        deadline : float
            When to give up, by ``time.monotonic``.

        Returns
        -------
        bool
            Whether all came to an end. Otherwise the buffers must be kept.
        """


class Pending(ABC):
    """Messages under way. Abstract."""

    @abstractmethod
    def wait(self, turn: int) -> bool:
        """Wait for a moment; say whether everything is done.

        Parameters
        ----------
        turn : int
            How often that has been asked before. The first time, waiting costs little where it is over soon.
        """

    @abstractmethod
    def late(self, peers: Sequence[int]) -> Sequence[int]:
        """Return those of the peers that are known to be late; all of them, where it is not known."""

    @abstractmethod
    def abandon(self) -> None:
        """End all waiting: this rank will not wait for them any more, and others do not count on them."""
