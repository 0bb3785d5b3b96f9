r"""How much a movement sends and receives on each rank, from the layouts alone: no world, no plan, no communication.

A rank's partners are a product over the axes of the tensor and of the grid, and so are the entries that it shares with
them: for each axis of the tensor, how many intervals of the target meet one of the source, and in how many entries.
These tables take :math:`O(n \log n)` for n intervals; a million ranks are looked up in them at once.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple, final

import numpy as np

from distdl_ops.layout import Layout, runs
from distdl_ops.plan import Plan
from distdl_ops.roles import At, Copies, Replicated, Split

Numbers = np.ndarray

WIDE = 56
"""From so many binary digits on, numbers of entries are Python's integers: they are multiplied by bytes, too."""


@final
class Flow(NamedTuple):
    """What a movement takes from rank to rank when it is a sparse exchange: arrays with one number for each rank.

    Attributes
    ----------
    messages_out, entries_out : numpy array of int64
        What a rank sends to others.
    messages_in, entries_in : numpy array of int64
        What it receives from others.
    kept : numpy array of int64
        Entries that stay on the rank.
    """

    messages_out: Numbers
    entries_out: Numbers
    messages_in: Numbers
    entries_in: Numbers
    kept: Numbers


def flow(source: Layout, target: Layout) -> Flow:
    """Return what ``M(S, T)`` sends and receives as a sparse exchange.

    Examples
    --------
    >>> from distdl_ops.roles import Split
    >>> S = Layout({"rows": 3}, (9, 5), {"rows": Split(0)})
    >>> T = Layout({"rows": 3}, (9, 5), {"rows": Split(0, [(-1, 4), (2, 7), (5, 10)])})
    >>> found = flow(S, T)
    >>> found.messages_out.tolist(), found.entries_out.tolist(), found.kept.tolist()
    ([1, 2, 1], [5, 10, 5], [15, 15, 15])
    """
    ranks = max(source.ranks, target.ranks)
    here, there = _coordinates(source, ranks), _coordinates(target, ranks)
    meetings = [_Meeting(source, target, axis) for axis in range(len(source.shape))]
    kept = _kept(source, target, meetings, here, there)
    own = kept > 0
    out = _sent(source, target, meetings, here) if _is_product(source, target) else _planned(source, target)
    messages_out, entries_out = (np.pad(found, (0, ranks - found.size)) for found in out)
    messages_in, entries_in = _received(source, target, meetings, there)
    return Flow(messages_out - own, entries_out - kept, messages_in - own, entries_in - kept, kept)


def held_by_rank(layout: Layout, ranks: int) -> Numbers:
    """Return how many entries each of so many ranks holds.

    Examples
    --------
    >>> held_by_rank(Layout({"rows": 3}, (8, 5), {"rows": Split(0)}), 4).tolist()
    [15, 15, 10, 0]
    """
    where, extents = _coordinates(layout, ranks), list(layout.shape)
    found = _holders(layout, where, ranks)
    for name, role in layout.roles.items():
        if isinstance(role, Split):
            extents[role.axis] = 1
            starts, stops = role.intervals.ends()
            found = found * (stops - starts)[where[name]]
    return found * math.prod(extents)


def _is_product(source: Layout, target: Layout) -> bool:
    """Say whether a rank's receivers are a product over grid axes: which replica sends may depend on all of them."""
    return source.same_grid(target) or not any(isinstance(role, Replicated) for role in source.roles.values())


def _coordinates(layout: Layout, ranks: int) -> dict[str, Numbers]:
    """Return the coordinates of all ranks, by grid axis; -1 outside the grid."""
    inside: tuple[Numbers, ...] = (
        np.unravel_index(np.arange(layout.ranks), tuple(layout.axes.values())) if layout.axes else ()
    )
    padded = [np.pad(found, (0, ranks - layout.ranks), constant_values=-1) for found in inside]
    return dict(zip(layout.axes, padded, strict=True))


def _holders(layout: Layout, coordinates: dict[str, Numbers], ranks: int) -> Numbers:
    """Return which ranks hold anything, as far as `At` is concerned: one or zero for each.

    Numbers of entries are multiples of these: they are Python's integers where 64 bits might not be enough.
    """
    found = np.arange(ranks) < layout.ranks
    for name, role in layout.roles.items():
        if isinstance(role, At):
            found &= coordinates[name] == role.index
    return np.asarray(found, np.int64).astype(object if layout.size * ranks >= 2**WIDE else np.int64)


def _sent(
    source: Layout, target: Layout, meetings: list[_Meeting], here: dict[str, Numbers]
) -> tuple[Numbers, Numbers]:
    """Return to how many ranks each one sends, and how many entries, itself included."""
    ranks = max(source.ranks, target.ranks)
    # Along an axis where the source is replicated, a rank sends to those that stand where it stands.
    pinned = {name for name, role in source.roles.items() if isinstance(role, Replicated)}
    messages = _holders(source, here, ranks)
    entries = messages.copy()
    for meeting in meetings:
        mine = here[meeting.source_axis] if meeting.source_axis else np.zeros(ranks, np.int64)
        if meeting.target_axis in pinned:
            common = meeting.common(mine, here[meeting.target_axis])
            messages, entries = messages * (common > 0), entries * common
        else:
            messages, entries = messages * meeting.receivers[mine], entries * meeting.to_receivers[mine]
    for name, role in target.roles.items():
        if isinstance(role, At) and name in pinned:
            factor = (here[name] == role.index).astype(np.int64)
            messages, entries = messages * factor, entries * factor
        elif isinstance(role, Copies | Replicated) and name not in pinned:
            messages, entries = messages * target.axes[name], entries * target.axes[name]
    return messages, entries


def _received(
    source: Layout, target: Layout, meetings: list[_Meeting], there: dict[str, Numbers]
) -> tuple[Numbers, Numbers]:
    """Return from how many ranks each one receives, and how many entries, itself included."""
    ranks = max(source.ranks, target.ranks)
    messages = _holders(target, there, ranks)
    entries = messages.copy()
    for meeting in meetings:
        mine = there[meeting.target_axis] if meeting.target_axis else np.zeros(ranks, np.int64)
        messages, entries = messages * meeting.senders[mine], entries * meeting.from_senders[mine]
    copies = math.prod(source.axes[name] for name, role in source.roles.items() if isinstance(role, Copies))
    return messages * copies, entries * copies


def _kept(
    source: Layout,
    target: Layout,
    meetings: list[_Meeting],
    here: dict[str, Numbers],
    there: dict[str, Numbers],
) -> Numbers:
    """Return how many entries each rank moves to itself."""
    ranks = max(source.ranks, target.ranks)
    found: Numbers = _holders(source, here, ranks) * _holders(target, there, ranks)
    for meeting in meetings:
        mine = here[meeting.source_axis] if meeting.source_axis else np.zeros(ranks, np.int64)
        theirs = there[meeting.target_axis] if meeting.target_axis else np.zeros(ranks, np.int64)
        found = found * meeting.common(mine, theirs)
    return found


def _planned(source: Layout, target: Layout) -> tuple[Numbers, Numbers]:
    """Return what `_sent` returns, from the plan of every rank."""
    ranks = max(source.ranks, target.ranks)
    messages, entries = np.zeros((2, ranks), object if source.size * ranks >= 2**WIDE else np.int64)
    for rank in range(source.ranks):
        for _, boxes in Plan(source, target, rank).sends:
            messages[rank] += 1
            entries[rank] += sum(math.prod(s.stop - s.start for s in box) for box in boxes)
    return messages, entries


class _Meeting:
    """Where the intervals of two layouts meet on one axis of the tensor.

    Attributes
    ----------
    source_axis, target_axis : str or None
        The grid axes along which the tensor axis is split; one interval, the whole axis, where it is not.
    receivers, to_receivers : numpy array of int64
        How many intervals of the target each one of the source meets, and in how many entries.
    senders, from_senders : numpy array of int64
        The same for each interval of the target.
    """

    def __init__(self, source: Layout, target: Layout, axis: int) -> None:
        self.source_axis, self._source = _pieces(source, axis)
        self.target_axis, self._target = _pieces(target, axis)
        if self.source_axis is self.target_axis is None:  # the whole axis meets itself
            entries = np.array([source.shape[axis]])
            self.receivers = self.senders = (entries > 0).astype(np.int64)
            self.to_receivers = self.from_senders = entries
            return
        self.receivers, self.to_receivers = _met(self._source, self._target)
        self.senders, self.from_senders = _met(self._target, self._source)

    def common(self, source: Numbers, target: Numbers) -> Numbers:
        """Return how many entries the intervals of these numbers have in common, pair by pair."""
        return _common(self._source[:, source], self._target[:, target])


def _pieces(layout: Layout, axis: int) -> tuple[str | None, Numbers]:
    """Return the grid axis that splits a tensor axis, and the runs of entries (start, stop) of each interval.

    Returns
    -------
    str or None, array of shape (2, intervals, runs)
        Empty runs where an interval has fewer than another.
    """
    extent = layout.shape[axis]
    for name, role in layout.roles.items():
        if isinstance(role, Split) and role.axis == axis:
            if role.boundary == "zero":
                return name, np.clip(role.intervals.ends(), 0, extent)[:, :, None]
            found = [
                [(piece.start, piece.start + piece.length) for piece in runs(interval, extent, role.boundary)]
                for interval in role.intervals
            ]
            padded = itertools.zip_longest(*found, fillvalue=(0, 0))
            ends = np.array([*padded, [(0, 0)] * len(found)], np.int64)
            return name, ends.transpose(2, 1, 0)
    return None, np.array([[[0]], [[extent]]], np.int64)


def _met(mine: Numbers, theirs: Numbers) -> tuple[Numbers, Numbers]:
    """Return, for each of my intervals, how many of theirs it meets, and in how many entries."""
    starts, stops = (np.sort(ends[theirs[0] < theirs[1]]) for ends in theirs)
    first, last = mine
    entries = (_reached(last, starts, stops) - _reached(first, starts, stops)) * (first < last)
    pairs = np.searchsorted(starts, last, "left") - np.searchsorted(stops, first, "right")
    count = (pairs * (first < last)).sum(axis=1)
    # Two intervals that meet in several runs are counted once.
    if mine.shape[2] == theirs.shape[2] == 1:
        return count, np.asarray(entries.sum(axis=1))
    several, others = (np.flatnonzero((ends[0] < ends[1]).sum(axis=1) > 1) for ends in (mine, theirs))
    for k in several:
        count[k] = np.count_nonzero(_common(mine[:, k : k + 1], theirs))
    for k in np.setdiff1d(np.arange(count.size), several) if others.size else ():
        met = _runs_met(mine[:, k : k + 1], theirs[:, others])
        count[k] -= np.maximum(met - 1, 0).sum()
    return count, np.asarray(entries.sum(axis=1))


def _reached(places: Numbers, starts: Numbers, stops: Numbers) -> Numbers:
    """Return how many entries, counted as often as they are held, lie before each place."""
    total = np.zeros(places.shape, np.int64)
    for ends, sign in ((starts, 1), (stops, -1)):
        before = np.searchsorted(ends, places, "left")
        sums = np.concatenate([[0], np.cumsum(ends)])
        total += sign * (before * places - sums[before])
    return total


def _overlap(mine: Numbers, theirs: Numbers) -> Numbers:
    """Return how many entries every run of mine has in common with every one of theirs, interval by interval."""
    first = np.maximum(mine[0][:, :, None], theirs[0][:, None, :])
    last = np.minimum(mine[1][:, :, None], theirs[1][:, None, :])
    found: Numbers = np.maximum(last - first, 0)
    return found


def _common(mine: Numbers, theirs: Numbers) -> Numbers:
    """Return how many entries intervals have in common, pair by pair."""
    found: Numbers = _overlap(mine, theirs).sum(axis=(1, 2))
    return found


def _runs_met(mine: Numbers, theirs: Numbers) -> Numbers:
    """Return in how many runs intervals meet, pair by pair."""
    found: Numbers = (_overlap(mine, theirs) > 0).sum(axis=(1, 2))
    return found
