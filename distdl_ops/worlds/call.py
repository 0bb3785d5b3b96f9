"""Which call an operation belongs to. Ranks compare it, beside the operation's name, whenever they exchange numbers.

Two applications of one operator have the same name, and so have two operators between the same spaces. A function that
is differentiated later, in an order that each rank decides for itself, needs more: which function it is, which
application of it, and for a backward pass, of which forward call. Nothing of that travels; it is part of what messages
are matched by.
"""

from __future__ import annotations

import functools
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, NoReturn, final

Number = tuple[int, int]
"""How often the ranks had disagreed before, and a count since then: ranks that disagreed may have counted otherwise."""


class Call(NamedTuple):
    """An application of a function, forward or backward.

    Attributes
    ----------
    function : (int, int)
        The number of the function, in the order in which its world's functions were made.
    application : (int, int)
        The number of the forward call, in the order in which the function was called.
    place : str
        What else tells calls apart: where in a program this one is.
    order : int
        0 for a forward call, 1 for its backward pass, 2 for the backward pass of that, and so on.
    origin : int
        A number that stands for what its argument was computed from; 0 where that is not known.

    Examples
    --------
    >>> call = Call((0, 2), (0, 3), "layer1.conv")
    >>> print(call.backward)
    the backward pass of call 3 of function 2 (layer1.conv)
    """

    function: Number
    application: Number
    place: str = ""
    order: int = 0
    origin: int = 0

    @property
    def backward(self) -> Call:
        """Its backward pass."""
        function, application, place, order, origin = self
        return Call(function, application, place, order + 1, origin)

    @property
    def key(self) -> int:
        """A number that stands for it, the same in every process."""
        function, application, place, order, origin = self
        return hash(
            (*function, *application, key_of(place), order, origin)
        )  # whole numbers have the same hash everywhere

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place else ""
        passes = "the backward pass of " * self.order
        return f"{passes}call {self.application[1]} of function {self.function[1]}{place}"


@functools.lru_cache(maxsize=4096)
def key_of(words: str) -> int:
    """Return a number that stands for words, the same in every process."""
    return zlib.crc32(words.encode())


def in_call(what: str, call: Call | None) -> str:
    """Return the name of an operation, with the call that it belongs to."""
    return what if call is None else f"{what}, in {call}"


@final
class Caller:
    """Who uses the worlds of a rank: one thread, and the call that it is in.

    Parameters
    ----------
    rank : int
        The rank.
    lends : bool, optional
        Whether another thread may use them while this one waits for it.

    Attributes
    ----------
    call : Call or None
        The call that operations belong to now.
    thread : int
        The identifier of the thread that may use them now.
    """

    def __init__(self, rank: int, *, lends: bool = False) -> None:
        self.call: Call | None = None
        self.thread = threading.get_ident()
        self._rank, self._lends, self._name = rank, lends, threading.current_thread().name

    def require_thread(self) -> None:
        """Raise where another thread than its own uses a rank's worlds."""
        if threading.get_ident() != self.thread:
            self.refuse()

    def refuse(self) -> NoReturn:
        """Raise in another thread: operations would be mixed up."""
        raise RuntimeError(
            f"the world of rank {self._rank} is used in the thread {threading.current_thread().name!r}; it belongs to "
            f"the thread that made it, {self._name!r}: use it there, for operations of two threads would be mixed up"
        )

    @contextmanager
    def inside(self, call: Call) -> Iterator[None]:
        """Let the operations in a block belong to a call."""
        before, self.call = self.call, call
        try:
            yield
        finally:
            self.call = before

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let this thread use the worlds in a block, while their own waits for it: a backward pass on a device, say."""
        before = self.thread
        if self._lends:
            self.thread = threading.get_ident()
        try:
            yield
        finally:
            self.thread = before
