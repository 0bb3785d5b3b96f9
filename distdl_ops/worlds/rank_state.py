"""State of the process that each simulated rank has of its own.

What a caller sets for its thread holds on every simulated rank, and what a rank sets ends with it: so it is for ranks
that are processes. Three kinds of state need three ways:

context variables (NumPy's error state, decimal contexts)
    Every rank's thread runs in a copy of the caller's context.
thread-local state of a library (whether torch records gradients)
    `State.enter` sets it again in every rank's thread.
state that a process has once (warnings filters, global random generators)
    Simulated ranks run one at a time. `State.take` and `State.put` change what is in place whenever another rank goes
    on.
"""

from __future__ import annotations

import contextvars
import pkgutil
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, TypeVar, final

import numpy as np
from numpy.random import mtrand

T = TypeVar("T")

LIBRARIES = {"torch": "torch_bridge.worlds.rank_state:TorchState"}
"""Where the state of a library is described that is no dependency: used when the process has imported that library."""


class State(ABC):
    """State of one library, noted when it is made: in the caller's thread. Abstract."""

    def enter(self) -> AbstractContextManager[object]:
        """Return a block in which the caller's thread-local state holds, for the thread of a rank."""
        return nullcontext()

    @abstractmethod
    def first(self) -> Any:
        """Return the state of the process that a rank begins with."""

    @abstractmethod
    def take(self) -> Any:
        """Return the state of the process that is in place."""

    @abstractmethod
    def put(self, state: Any) -> None:
        """Put a state in place."""

    def restore(self) -> None:
        """Put the caller's state in place again."""
        self.put(self.first())


@final
class WarningsState(State):
    """Filters of warnings, and how they are shown."""

    NAMES = tuple(name for name in ("filters", "showwarning", "_showwarnmsg_impl") if hasattr(warnings, name))
    """What `warnings.catch_warnings` changes, and changes back."""

    def __init__(self) -> None:
        self._callers = self.take()

    def first(self) -> list[Any]:
        """Return the caller's filters, in a list that may be changed."""
        return [list(self._callers[0]), *self._callers[1:]]

    def take(self) -> list[Any]:
        """Return what is in place."""
        return [getattr(warnings, name) for name in self.NAMES]

    def put(self, state: list[Any]) -> None:
        """Put filters in place."""
        other = warnings.filters != state[0]
        for name, value in zip(self.NAMES, state, strict=True):
            setattr(warnings, name, value)
        if other:
            with warnings.catch_warnings():  # lets Python know that filters have changed
                pass

    def restore(self) -> None:
        """Put the caller's filters in place again: the list itself."""
        self.put(self._callers)


@final
class NumpyState(State):
    """NumPy's global generator of random numbers.

    Ranks exchange the generator's stream, which costs less than to copy its state. Of two normal numbers that NumPy's
    old generator makes at once, the second is lost where another rank runs between the two.
    """

    def __init__(self) -> None:
        self._callers, self._all = mtrand.get_bit_generator(), mtrand.get_state(legacy=False)
        self._state = self._callers.state

    def first(self) -> Any:
        """Return a stream that begins as the caller's goes on."""
        stream = type(self._callers)(_Zeros())  # type: ignore[arg-type]
        stream.state = self._state
        return stream

    def take(self) -> Any:
        """Return the stream that is in place."""
        return mtrand.get_bit_generator()

    def put(self, state: Any) -> None:
        """Put a stream in place."""
        mtrand.set_bit_generator(state)

    def restore(self) -> None:
        """Put the caller's stream in place again."""
        mtrand.set_bit_generator(self._callers)
        mtrand.set_state(self._all)


class _Zeros(np.random.bit_generator.ISeedSequence):
    """Seeds a stream whose state is set afterwards, without asking the system for random bits."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """Return zeros."""
        return np.zeros(n_words, dtype)


@final
class RankStates:
    """The states of all simulated ranks. Made in the caller's thread.

    Parameters
    ----------
    size : int
        Number of ranks.
    """

    def __init__(self, size: int) -> None:
        self._states: list[State] = [WarningsState(), NumpyState()]
        self._contexts = [contextvars.copy_context() for _ in range(size)]
        self._kept: dict[int, list[Any]] = {}  # by rank: what it goes on with
        self._absent = dict(LIBRARIES)
        self._current: int | None = None
        self._restored = False
        self._look()

    def run(self, rank: int, program: Callable[[], T]) -> T:
        """Run a program in the thread of a rank."""
        return self._contexts[rank].run(self._run, program)

    def _run(self, program: Callable[[], T]) -> T:
        decimal = sys.modules.get("decimal")
        if decimal is not None:
            decimal.setcontext(decimal.getcontext().copy())  # or ranks would change one object
        with ExitStack() as stack:
            for state in self._states:
                stack.enter_context(state.enter())
            return program()

    def put(self, rank: int) -> None:
        """Put the state of a rank in place, which goes on now."""
        if rank == self._current or self._restored:  # after an interrupt, a rank may end later than the caller goes on
            return
        if self._current is not None:
            self._look()
            self._kept[self._current] = [state.take() for state in self._states]
        self._current = rank
        kept = self._kept.get(rank, [])
        for k, state in enumerate(self._states):
            state.put(kept[k] if k < len(kept) else state.first())

    def restore(self) -> None:
        """Put the caller's state in place, for good."""
        self._restored = True
        for state in self._states:
            state.restore()

    def _look(self) -> None:
        """Note the state of libraries that have been imported."""
        for name in [name for name in self._absent if sys.modules.get(name) is not None]:
            self._states.append(pkgutil.resolve_name(self._absent.pop(name))())
