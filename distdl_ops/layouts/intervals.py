"""An interval for each rank of a grid axis: balanced ones, found by their formula, or any that are written out.

What a plan asks of them is *which ranks have entries in common with mine*. The answer takes time that grows with the
number of these ranks, not with that of all: intervals are in order, so their ends are found by bisection. Balanced ones
are not even stored, also when they are widened by a halo or have gone on to other ranks.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import operator
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import final, overload

import numpy as np

from linop.arguments import Positive, Whole, checked
from linop.errors import ArgumentError

Interval = tuple[int, int]
"""First entry, and the one after the last."""

WRITTEN_OUT = 16
"""Up to how many intervals `repr` writes out where a formula makes them."""


class Intervals(Sequence[Interval]):
    """A sequence of intervals, one for each rank of a grid axis. Abstract: `Balanced` or `Listed`.

    Attributes
    ----------
    total : int
        How many entries they have together.
    longest : int
        How many the longest has.
    hull : (start, stop)
        From their lowest entry to their highest; ``(0, 0)`` when there is none.
    apart : bool
        Whether no two have an entry in common.
    rising : bool
        Whether none begins before that of a lower rank; empty ones do not count.
    connected : bool
        Whether there is no gap between the lowest entry and the highest.
    """

    total: int
    longest: int
    hull: Interval
    apart: bool
    rising: bool
    connected: bool

    @property
    @abstractmethod
    def lengths(self) -> Mapping[int, int]:
        """How many intervals have each length."""

    def covers(self, extent: int) -> bool:
        """Say whether each entry of ``range(extent)`` lies in an interval."""
        return extent == 0 or (self.connected and self.hull[0] <= 0 and self.hull[1] >= extent)

    @abstractmethod
    def meeting(self, start: int, stop: int) -> list[int]:
        """Return the ranks, in order, whose intervals have entries in common with one that is not empty."""

    @abstractmethod
    def widened(self, below: int, above: int) -> Intervals:
        """Return the intervals with a halo, or trimmed by negative widths; an empty one stays as it is."""

    @abstractmethod
    def rolled(self, steps: int) -> Intervals:
        """Return the intervals on other ranks: that of rank k on rank k + steps, round and round."""

    @abstractmethod
    def ends(self) -> np.ndarray:
        """Return where they begin and where they end, all at once: integers of shape (2, ranks)."""

    @abstractmethod
    def _at(self, rank: int) -> Interval:
        """Return the interval of a rank, counted from 0."""

    @overload
    def __getitem__(self, index: int) -> Interval: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Interval, ...]: ...
    @final
    def __getitem__(self, index: int | slice) -> Interval | tuple[Interval, ...]:
        numbers = range(len(self))[index]
        return self._at(numbers) if isinstance(numbers, int) else tuple(map(self._at, numbers))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Intervals):
            return NotImplemented
        return self._summary() == other._summary() and all(map(operator.eq, self, other))

    def __hash__(self) -> int:
        return hash(self._summary())  # of all intervals, it would take as long as there are ranks

    def _summary(self) -> tuple[object, ...]:
        return (len(self), self.total, self.hull, self.apart, self.rising)

    def __repr__(self) -> str:
        return repr(list(self))


@final
class Balanced(Intervals):
    """What `balanced` returns, widened and rolled: an interval is computed when it is asked for.

    Parameters
    ----------
    extent, parts : int
        What is divided, and into how many.
    below, above : int, optional
        By how much each is wider, unless it is empty; narrower where negative.
    steps : int, optional
        On how many ranks each has gone.
    """

    def __init__(self, extent: int, parts: int, below: int = 0, above: int = 0, steps: int = 0) -> None:
        self._numbers = (extent, parts, below, above, steps % parts)
        self._base, self._longer = divmod(extent, parts)
        short = max(self._base + below + above, 0) if self._base else 0
        long = max(self._base + 1 + below + above, 0)
        # Those that are not empty are the first ones, before they are rolled.
        self._held = parts if short else self._longer if long else 0
        self.total = self._longer * long + (parts - self._longer) * short
        self.longest = max(short, long) if self._longer else short
        self.hull = (-below, self._before_rolling(self._held - 1)[1]) if self._held else (0, 0)
        self.apart = below + above <= 0 or self._held <= 1
        self.rising = steps % parts + self._held <= parts or self._held <= 1
        self.connected = below + above >= 0 or self._held <= 1
        self._sizes = short, long

    @property
    def lengths(self) -> Mapping[int, int]:
        """How many intervals have each length; see `Intervals.lengths`."""
        parts, (short, long) = self._numbers[1], self._sizes
        counts: Counter[int] = Counter()
        counts[long] += self._longer
        counts[short] += parts - self._longer
        return +counts

    def __len__(self) -> int:
        return self._numbers[1]

    def _at(self, rank: int) -> Interval:
        _, parts, _, _, steps = self._numbers
        return self._before_rolling((rank - steps) % parts)

    def _before_rolling(self, k: int) -> Interval:
        start = k * self._base + min(k, self._longer)
        _, _, below, above, _ = self._numbers
        return widened((start, start + self._base + (k < self._longer)), below, above)

    def meeting(self, start: int, stop: int) -> list[int]:
        """Return the ranks whose intervals meet another; see `Intervals.meeting`."""
        _, parts, _, _, steps = self._numbers
        held = range(self._held)
        low = bisect.bisect_right(held, start, key=lambda k: self._before_rolling(k)[1])
        high = bisect.bisect_left(held, stop, key=lambda k: self._before_rolling(k)[0])
        return sorted((k + steps) % parts for k in held[low:high])

    def widened(self, below: int, above: int) -> Intervals:
        """Return the intervals with a halo; see `Intervals.widened`."""
        extent, parts, low, high, steps = self._numbers
        if low + high < 0:  # some may have become empty, and stay so
            return Listed([widened(interval, below, above) for interval in self])
        return Balanced(extent, parts, low + below, high + above, steps)

    def rolled(self, steps: int) -> Intervals:
        """Return the intervals on other ranks; see `Intervals.rolled`."""
        extent, parts, below, above, before = self._numbers
        return Balanced(extent, parts, below, above, before + steps)

    def ends(self) -> np.ndarray:
        """Return where they begin and where they end; see `Intervals.ends`."""
        _, parts, below, above, steps = self._numbers
        k = (np.arange(parts) - steps) % parts
        starts = k * self._base + np.minimum(k, self._longer)
        stops = starts + self._base + (k < self._longer)
        held = starts < stops
        first = starts - below * held
        return np.stack([first, np.where(held, np.maximum(stops + above, first), stops)])

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Balanced) and self._numbers == other._numbers) or super().__eq__(other)

    __hash__ = Intervals.__hash__

    def __repr__(self) -> str:
        extent, parts, below, above, steps = self._numbers
        if parts <= WRITTEN_OUT:
            return super().__repr__()
        wider = f".widened({below}, {above})" if below or above else ""
        return f"balanced({extent}, {parts}){wider}{f'.rolled({steps})' if steps else ''}"


@final
class Listed(Intervals):
    """Intervals that are written out.

    Parameters
    ----------
    intervals : sequence of (start, stop)
        In any order.

    Raises
    ------
    ValueError
        When one is no pair of integers in order.
    """

    def __init__(self, intervals: Sequence[Sequence[int]]) -> None:
        self._all = tuple(map(_checked, intervals))
        # Those that are not empty, by where they begin; `_reach` is where these and all before them have ended.
        self._order = sorted((k for k, (a, b) in enumerate(self._all) if a < b), key=lambda k: self._all[k])
        self._starts = [self._all[k][0] for k in self._order]
        self._reach = list(itertools.accumulate((self._all[k][1] for k in self._order), max))
        self.total = sum(b - a for a, b in self._all)
        self.longest = max((b - a for a, b in self._all), default=0)
        self.hull = (self._starts[0], self._reach[-1]) if self._order else (0, 0)
        self.apart = all(map(operator.le, self._reach, self._starts[1:]))
        self.rising = all(map(operator.le, self._order, self._order[1:]))
        self.connected = all(map(operator.ge, self._reach, self._starts[1:]))

    @functools.cached_property
    def lengths(self) -> Mapping[int, int]:
        """How many intervals have each length; see `Intervals.lengths`."""
        return Counter(b - a for a, b in self._all)

    def __len__(self) -> int:
        return len(self._all)

    def _at(self, rank: int) -> Interval:
        return self._all[rank]

    def meeting(self, start: int, stop: int) -> list[int]:
        """Return the ranks whose intervals meet another; see `Intervals.meeting`."""
        low, high = bisect.bisect_right(self._reach, start), bisect.bisect_left(self._starts, stop)
        return sorted(k for k in self._order[low:high] if self._all[k][1] > start)

    def widened(self, below: int, above: int) -> Intervals:
        """Return the intervals with a halo; see `Intervals.widened`."""
        return Listed([widened(interval, below, above) for interval in self._all])

    def rolled(self, steps: int) -> Intervals:
        """Return the intervals on other ranks; see `Intervals.rolled`."""
        first = -steps % max(len(self._all), 1)
        return Listed(self._all[first:] + self._all[:first])

    def ends(self) -> np.ndarray:
        """Return where they begin and where they end; see `Intervals.ends`."""
        return np.array(self._all, np.int64).reshape(-1, 2).T


@checked
def balanced(length: Whole, parts: Positive) -> Intervals:
    """Divide ``range(length)`` into intervals whose lengths differ by one at most, the longer ones first.

    Parameters
    ----------
    length : int
        How many entries there are.
    parts : int
        How many intervals, one or more.

    Returns
    -------
    Intervals
        A sequence of pairs (start, stop), computed when they are asked for.

    Examples
    --------
    >>> balanced(5, 3)
    [(0, 2), (2, 4), (4, 5)]
    >>> halo = balanced(4_000_000, 1_000_000).widened(1, 1)
    >>> halo, halo[500_000]
    (balanced(4000000, 1000000).widened(1, 1), (1999999, 2000005))
    """
    return Balanced(length, parts)


def halo_of(intervals: Intervals, extent: int) -> tuple[int, int] | None:
    """Return by how much balanced intervals of ``range(extent)`` were widened; None where these are no such ones.

    Examples
    --------
    >>> halo_of(balanced(8, 2).widened(1, 2), 8), halo_of(balanced(8, 2), 8), halo_of(Listed([(0, 3), (3, 8)]), 8)
    ((1, 2), (0, 0), None)
    """
    even = balanced(extent, len(intervals))
    (start, stop), (first, last) = even[0], intervals[0]
    widths = start - first, last - stop
    return widths if even.widened(*widths) == intervals else None


def widened(interval: Interval, below: int, above: int) -> Interval:
    """Return an interval with its halo, empty where nothing is left; an empty one stays as it is."""
    start, stop = interval
    return interval if start == stop else (start - below, max(stop + above, start - below))


def _checked(pair: Sequence[int]) -> Interval:
    """Return an interval as a pair of integers; raise where it is none."""
    try:
        start, stop = (operator.index(k) for k in pair)
    except (TypeError, ValueError):
        raise ArgumentError(f"an interval is a pair (start, stop) of integers, found {pair!r}") from None
    if stop < start:
        raise ArgumentError(f"an interval must not stop before it starts, found {pair!r}")
    return start, stop
