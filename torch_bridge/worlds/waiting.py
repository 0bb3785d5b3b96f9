"""Waiting for messages of gloo, which cannot be polled, and whose connections end when they are waited for in vain.

So a thread waits for them without a limit, and the rank's own looks for notices meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from datetime import timedelta
from queue import SimpleQueue
from typing import Any, final

import torch.distributed as dist

from distdl_ops.worlds.notices import Pending

LOOK = 0.01
"""Seconds that a rank waits before it looks for notices: each look asks the store, which all ranks share."""

ENDING = 10.0
"""Seconds in which a thread that waits for nothing ends."""


@final
class Link:
    """Connections between the ranks of a group, and a thread that waits for their messages.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup
        The connections, of gloo.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        self._queue: SimpleQueue[Works | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, args=(self._queue,), name="waits for messages", daemon=True)
        self._thread.start()

    def put(self, works: Works) -> None:
        """Let the thread wait."""
        self._queue.put(works)

    def close(self) -> None:
        """End the thread, which waits for nothing any more."""
        self._queue.put(None)
        self._thread.join(ENDING)
        self.group = None

    @staticmethod
    def _serve(queue: SimpleQueue[Works | None]) -> None:
        while (works := queue.get()) is not None:
            works.run()
            del works  # what has been sent may be let go


@final
class Works(Pending):
    """Messages of gloo, each with the rank that it goes to or comes from.

    Parameters
    ----------
    link : Link or None
        The connections; None where there is one rank.
    works : list of (int, torch.distributed.Work)
        The messages.
    """

    def __init__(self, link: Link | None, works: list[tuple[int, dist.Work]]) -> None:
        self._link, self._works = link, works
        self._late = 0
        self._done = threading.Event()
        self._error: RuntimeError | None = None

    def run(self) -> None:
        """Wait until all have arrived; in the thread of the link."""
        try:
            for late, (_, work) in enumerate(self._works):
                self._late = late
                work.wait()
        except RuntimeError as error:
            self._error = error.with_traceback(None)  # which would keep the messages
        finally:
            self._done.set()

    def wait(self, turn: int) -> bool:
        """Wait for the thread; see `Pending.wait`."""
        if not self._works or self._link is None:
            return True
        if turn == 0:
            self._link.put(self)
        if not self._done.wait(LOOK):
            return False
        if self._error is not None:
            raise self._error
        return True

    def late(self, peers: Sequence[int]) -> Sequence[int]:
        """Return the rank that the thread waits for; see `Pending.late`."""
        return [self._works[self._late][0]] if self._works else peers

    def abandon(self) -> None:
        """End the connections, and so the waiting of the thread; let go what has ended."""
        if self._link is None or self._link.group is None:
            self._works.clear()
        elif self._works and not self._done.is_set():
            with contextlib.suppress(RuntimeError):
                self._works[self._late][1].wait(timedelta(milliseconds=1))
