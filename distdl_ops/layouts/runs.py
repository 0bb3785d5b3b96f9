"""Runs of entries: which entries of one axis an array holds, in pieces that are contiguous at both ends.

A `Run` says that `length` entries, from `local` on in an array, are those from `start` on in the tensor. Runs compose:
where an array is a part of a part, the runs of the inner part, in places of the outer one, and those of the outer part,
in places of the tensor, give runs in places of the tensor. What two arrays have in common is the same composition, with
the runs of one of them inverted.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from distdl_ops.layouts.intervals import Interval

Boundary = Literal["zero", "periodic"]
"""What an interval has outside the tensor: zeros, or the tensor again."""

FEW_PAIRS = 64
"""Up to how many pairs of runs are compared one by one: that is faster than with NumPy."""


class Run(NamedTuple):
    """A run of tensor entries on one axis: where it begins in a rank's array and in the tensor, and how long it is."""

    local: int
    start: int
    length: int


def runs(interval: Interval, extent: int, boundary: Boundary) -> list[Run]:
    """Return the tensor entries in an interval as runs: what lies inside, or, when periodic, every time around.

    Examples
    --------
    >>> runs((-1, 3), 5, "zero")
    [Run(local=1, start=0, length=3)]
    >>> runs((-1, 3), 5, "periodic")
    [Run(local=0, start=4, length=1), Run(local=1, start=0, length=3)]
    """
    start, stop = interval
    if boundary == "zero":
        first, last = max(start, 0), min(stop, extent)
        return [Run(first - start, first, last - first)] if last > first else []
    pieces = []
    position = start
    while position < stop:
        inside = position % extent
        length = min(extent - inside, stop - position)
        pieces.append(Run(position - start, inside, length))
        position += length
    return pieces


def inverted(pieces: list[Run]) -> list[Run]:
    """Return runs from the tensor to the array, in the order of the tensor.

    Examples
    --------
    >>> inverted([Run(0, 4, 1), Run(1, 0, 3)])
    [Run(local=0, start=1, length=3), Run(local=4, start=0, length=1)]
    """
    if len(pieces) == 1:
        ((local, start, length),) = pieces
        return [Run(start, local, length)]
    return sorted(Run(start, local, length) for local, start, length in pieces)


def composed(first: list[Run], second: list[Run]) -> list[Run]:
    """Return the runs that lead by `first` and then by `second`, whose runs are in the order of their beginnings.

    Examples
    --------
    >>> composed([Run(0, 1, 3)], [Run(0, 10, 2), Run(2, 20, 5)])
    [Run(local=0, start=11, length=1), Run(local=1, start=20, length=2)]
    """
    if len(first) * len(second) > FEW_PAIRS:
        return _composed(np.array(first), np.array(second))
    pieces = []
    for local, start, length in first:
        for place, end, extent in second:
            low, high = max(start, place), min(start + length, place + extent)
            if low < high:
                pieces.append(Run(local + low - start, end + low - place, high - low))
    return pieces


def _composed(first: np.ndarray, second: np.ndarray) -> list[Run]:
    """Return what `composed` does: of the second runs, each first one is compared with those that may meet it."""
    (local, start, length), (place, end, extent) = first.T, second.T
    low = np.searchsorted(place, start - extent.max(), "right")
    count = np.maximum(np.searchsorted(place, start + length, "left") - low, 0)
    i = np.repeat(np.arange(count.size), count)
    j = np.arange(i.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    begin, stop = np.maximum(start[i], place[j]), np.minimum(start[i] + length[i], place[j] + extent[j])
    kept = begin < stop
    table = np.stack([local[i] + begin - start[i], end[j] + begin - place[j], stop - begin])[:, kept]
    return [Run(*row) for row in table.T.tolist()]


def paired_slices(common: list[Run]) -> list[tuple[slice, slice]]:
    """Return what two arrays have in common as slices of the one and of the other, which hold the same entries.

    The result does not depend on how runs were cut before. Runs of equal length in equal steps become slices with a
    step, where these are fewer.

    Parameters
    ----------
    common : list of Run
        From places in the one array to places in the other.

    Examples
    --------
    >>> paired_slices([Run(0, 6, 1), Run(1, 7, 2)])
    [(slice(0, 3, None), slice(6, 9, None))]
    >>> paired_slices([Run(0, 6, 1), Run(1, 8, 1), Run(2, 10, 1)])
    [(slice(0, 3, None), slice(6, 11, 2))]
    """
    if len(common) == 1:
        ((one, other, length),) = common
        return [(slice(one, one + length), slice(other, other + length))]
    pairs: list[tuple[slice, slice]] = []
    pieces = _merged(common)
    k = 0
    while k < len(pieces):
        one, other, length = pieces[k]
        count, steps = 1, (0, 0)
        if k + 1 < len(pieces):
            steps = pieces[k + 1].local - one, pieces[k + 1].start - other
            while steps[0] > 0 < steps[1] and k + count < len(pieces):
                if pieces[k + count] != (one + count * steps[0], other + count * steps[1], length):
                    break
                count += 1
        if count > length:
            pairs += [(_stepped(one + i, steps[0], count), _stepped(other + i, steps[1], count)) for i in range(length)]
        else:
            pairs += [(slice(a, a + length), slice(b, b + length)) for a, b, _ in pieces[k : k + count]]
        k += count
    return pairs


def _merged(common: list[Run]) -> list[Run]:
    """Return runs in order, joined where they follow each other at both ends."""
    pieces: list[Run] = []
    for run in sorted(common):
        if pieces:
            local, start, length = pieces[-1]
            if (local + length, start + length) == run[:2]:
                pieces[-1] = Run(local, start, length + run.length)
                continue
        pieces.append(run)
    return pieces


def _stepped(start: int, step: int, count: int) -> slice:
    """Return a slice of so many entries, this many steps apart."""
    return slice(start, start + (count - 1) * step + 1, step) if step > 1 else slice(start, start + count)


def slice_length(piece: slice) -> int:
    """Return how many entries a slice takes, of an array that is long enough.

    Examples
    --------
    >>> slice_length(slice(2, 5)), slice_length(slice(2, 9, 3))
    (3, 3)
    """
    length: int = piece.stop - piece.start
    return length if piece.step is None else -(-length // piece.step)
