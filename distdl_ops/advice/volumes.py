r"""How much a movement sends and receives on each rank, from the layouts alone: no world, no plan, no communication.

A rank's partners are a product over the axes of the tensor and of the grid, and so are the entries that it shares with
them: for each axis of the tensor, how many intervals of the target meet one of the source, and in how many entries.
These tables take :math:`O(n \log n)` for n intervals; a million ranks are looked up in them at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.runs import slice_length
from distdl_ops.transfer.plan import Plan

Numbers = np.ndarray

WIDE = 56
"""From so many binary digits on, numbers of entries are Python's integers: they are multiplied by bytes, too."""


@final
class Volumes(NamedTuple):
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


def volumes(source: Layout, target: Layout) -> Volumes:
    """Return what ``M(S, T)`` sends and receives as a sparse exchange.

    Examples
    --------
    >>> from distdl_ops.layouts.roles import Split
    >>> S = Layout({"rows": 3}, (9, 5), {"rows": Split(0)})
    >>> T = Layout({"rows": 3}, (9, 5), {"rows": Split(0, [(-1, 4), (2, 7), (5, 10)])})
    >>> found = volumes(S, T)
    >>> found.messages_out.tolist(), found.entries_out.tolist(), found.kept.tolist()
    ([1, 2, 1], [5, 10, 5], [15, 15, 15])
    """
    ranks = max(source.places.span, target.places.span)
    senders, receivers = _coordinates(source, ranks), _coordinates(target, ranks)
    # Along an axis where the source is replicated, a rank sends to those that stand where it stands.
    pinned = {name for name, role in source.roles.items() if role.replicated}
    meetings = [_Meeting(source, target, axis, pinned) for axis in range(len(source.shape))]
    kept = _kept(source, target, meetings, senders, receivers)
    to_itself = kept > 0
    if _is_product(source, target):
        messages_out, entries_out = _sent(source, target, meetings, senders, pinned)
    else:
        messages_out, entries_out = _planned(source, target)
    messages_in, entries_in = _received(source, target, meetings, receivers)
    return Volumes(messages_out - to_itself, entries_out - kept, messages_in - to_itself, entries_in - kept, kept)


def held_by_rank(layout: Layout, ranks: int) -> Numbers:
    """Return how many entries each of so many ranks holds.

    Examples
    --------
    >>> from distdl_ops.layouts.roles import Split
    >>> held_by_rank(Layout({"rows": 3}, (8, 5), {"rows": Split(0)}), 4).tolist()
    [15, 15, 10, 0]
    """
    coordinates = _coordinates(layout, ranks)
    held = _holders(layout, coordinates, ranks)
    for axis, extent in enumerate(layout.shape):
        names = layout.split_axes(axis)
        held = held * (layout.sizes(axis)[_number(layout, names, coordinates)] if names else extent)
    return held


def _is_product(source: Layout, target: Layout) -> bool:
    """Say whether a rank's receivers are a product over grid axes: which replica sends may depend on all of them."""
    return source.same_grid(target) or not any(role.replicated for role in source.roles.values())


def _coordinates(layout: Layout, ranks: int) -> dict[str, Numbers]:
    """Return the coordinates of all ranks, by grid axis; -1 outside the grid."""
    inside: tuple[Numbers, ...] = (
        np.unravel_index(np.arange(layout.ranks), tuple(layout.axes.values())) if layout.axes else ()
    )
    members = np.asarray(layout.places.members, np.int64)
    coordinates = {}
    for name, places in zip(layout.axes, inside, strict=True):
        coordinates[name] = np.full(ranks, -1, np.int64)
        coordinates[name][members] = places
    return coordinates


def _number(layout: Layout, names: Sequence[str], coordinates: dict[str, Numbers]) -> Numbers:
    """Return the number of the part that each rank has along some grid axes; 0 outside the grid."""
    number: Numbers = np.zeros((), np.int64)
    for name in names:
        number = number * layout.axes[name] + np.maximum(coordinates[name], 0)
    return number


def on_grid(layout: Layout, ranks: int) -> Numbers:
    """Return which of so many ranks are on the grid of a layout: one or zero for each."""
    inside = np.zeros(ranks, np.int64)
    inside[np.asarray(layout.places.members, np.int64)] = 1
    return inside


def _holders(layout: Layout, coordinates: dict[str, Numbers], ranks: int) -> Numbers:
    """Return which ranks hold anything, if only a part of no entries: one or zero for each.

    Numbers of entries are multiples of these: they are Python's integers where 64 bits might not be enough.
    """
    holding = on_grid(layout, ranks)
    for name, role in layout.roles.items():
        if role.axis is None:
            holding = holding * _among(role.holders(layout.axes[name]), coordinates[name], layout.axes[name])
    return np.asarray(holding, np.int64).astype(object if layout.size * ranks >= 2**WIDE else np.int64)


def _among(holders: Sequence[int], coordinates: Numbers, length: int) -> Numbers:
    """Return which coordinates are among these of a grid axis: one or zero for each."""
    if len(holders) == length:
        return np.ones(1, np.int64)
    table = np.zeros(length, np.int64)
    table[np.asarray(holders, np.int64)] = 1
    return np.asarray(table[np.maximum(coordinates, 0)] * (coordinates >= 0))


def _sent(
    source: Layout, target: Layout, meetings: list[_Meeting], senders: dict[str, Numbers], pinned: set[str]
) -> tuple[Numbers, Numbers]:
    """Return to how many ranks each one sends, and how many entries, itself included."""
    ranks = max(source.places.span, target.places.span)
    messages = _holders(source, senders, ranks)
    entries = messages.copy()
    for meeting in meetings:
        parts = _number(source, meeting.source_axes, senders)
        count, common = meeting.sent(parts, _number(target, meeting.pinned_axes, senders))
        messages, entries = messages * count, entries * common
    for name, role in target.roles.items():
        if role.axis is not None:
            continue
        holders, length = role.holders(target.axes[name]), target.axes[name]
        factor = _among(holders, senders[name], length) if name in pinned else np.array(len(holders))
        messages, entries = messages * factor, entries * factor
    return messages, entries


def _received(
    source: Layout, target: Layout, meetings: list[_Meeting], receivers: dict[str, Numbers]
) -> tuple[Numbers, Numbers]:
    """Return from how many ranks each one receives, and how many entries, itself included."""
    ranks = max(source.places.span, target.places.span)
    messages = _holders(target, receivers, ranks)
    entries = messages.copy()
    for meeting in meetings:
        parts = _number(target, meeting.target_axes, receivers)
        messages, entries = messages * meeting.senders[parts], entries * meeting.from_senders[parts]
    copies = math.prod(role.copies(source.axes[name]) for name, role in source.roles.items())
    return messages * copies, entries * copies


def _kept(
    source: Layout,
    target: Layout,
    meetings: list[_Meeting],
    senders: dict[str, Numbers],
    receivers: dict[str, Numbers],
) -> Numbers:
    """Return how many entries each rank moves to itself."""
    ranks = max(source.places.span, target.places.span)
    kept: Numbers = _holders(source, senders, ranks) * _holders(target, receivers, ranks)
    for meeting in meetings:
        source_parts, target_parts = (
            _number(source, meeting.source_axes, senders),
            _number(target, meeting.target_axes, receivers),
        )
        kept = kept * meeting.common(source_parts, target_parts)
    return kept


def _planned(source: Layout, target: Layout) -> tuple[Numbers, Numbers]:
    """Return what `_sent` returns, from the plan of every rank."""
    ranks = max(source.places.span, target.places.span)
    messages, entries = np.zeros((2, ranks), object if source.size * ranks >= 2**WIDE else np.int64)
    for rank in source.places.members:
        for _, boxes in Plan(source, target, rank).sends:
            messages[rank] += 1
            entries[rank] += sum(math.prod(map(slice_length, box)) for box in boxes)
    return messages, entries


class _Meeting:
    """Where the parts of two layouts meet on one axis of the tensor.

    Parts of one run each are counted by where they begin and end. Else, and where the target's parts depend on some
    pinned grid axes and on others, the pairs that meet are listed.

    Attributes
    ----------
    source_axes, target_axes : tuple of str
        The grid axes that split the tensor axis; it is one part where none do.
    pinned_axes : tuple of str
        Those of the target along which a rank sends to where it stands.
    receivers, to_receivers : numpy array of int64
        How many parts of the target each one of the source meets, and in how many entries.
    senders, from_senders : numpy array of int64
        The same for each part of the target.
    """

    def __init__(self, source: Layout, target: Layout, axis: int, pinned: set[str]) -> None:
        self.source_axes, self.target_axes = source.split_axes(axis), target.split_axes(axis)
        self.pinned_axes = tuple(name for name in self.target_axes if name in pinned)
        self._source, self._target = source.ends(axis), target.ends(axis)
        self._pairs: _Pairs | None = None
        if self._source.shape[2] > 1 or self._target.shape[2] > 1 or 0 < len(self.pinned_axes) < len(self.target_axes):
            self._pairs = pairs = _Pairs.of(self._source, self._target)
            self.receivers, self.to_receivers = pairs.by_source(self._source.shape[1])
            self.senders, self.from_senders = pairs.mirrored().by_source(self._target.shape[1])
            if self.pinned_axes:
                lengths = [target.axes[name] for name in self.target_axes]
                coordinates = dict(zip(self.target_axes, np.unravel_index(pairs.target, lengths), strict=True))
                self._pinned = pairs.gathered(
                    _number(target, self.pinned_axes, coordinates),
                    math.prod(target.axes[name] for name in self.pinned_axes),
                )
        elif not self.source_axes and not self.target_axes:  # the whole axis meets itself
            entries = np.array([source.shape[axis]])
            self.receivers = self.senders = (entries > 0).astype(np.int64)
            self.to_receivers = self.from_senders = entries
        else:
            self.receivers, self.to_receivers = _met(self._source, self._target)
            self.senders, self.from_senders = _met(self._target, self._source)

    def common(self, source: Numbers, target: Numbers) -> Numbers:
        """Return how many entries the parts of these numbers have in common, pair by pair."""
        if self._pairs is not None:
            return self._pairs.at(source, target)[1]
        first = np.maximum(self._source[0, source, 0], self._target[0, target, 0])
        last = np.minimum(self._source[1, source, 0], self._target[1, target, 0])
        return np.asarray(np.maximum(last - first, 0))

    def sent(self, source: Numbers, pinned: Numbers) -> tuple[Numbers, Numbers]:
        """Return how many parts of the target, at these places along the pinned axes, some of the source meet.

        And in how many entries.
        """
        if not self.pinned_axes:
            return self.receivers[source], self.to_receivers[source]
        if self._pairs is not None:
            return self._pinned.at(source, pinned)
        common = self.common(source, pinned)
        return (common > 0).astype(np.int64), common


@final
class _Pairs:
    """Parts that meet: their numbers, how many times they were counted, and how many entries they have in common.

    Attributes
    ----------
    source, target, count, entries : numpy array of int64
        One for each pair, in order.
    """

    def __init__(self, source: Numbers, target: Numbers, count: Numbers, entries: Numbers, targets: int) -> None:
        """Add up what stands for the same pair."""
        self._targets = max(targets, 1)
        self._keys, which = np.unique(source * self._targets + target, return_inverse=True)
        self.source, self.target = np.divmod(self._keys, self._targets)
        size = self._keys.size
        self.count, self.entries = np.zeros((2, size), np.int64)
        np.add.at(self.count, which, count)
        np.add.at(self.entries, which, entries)

    @staticmethod
    def of(source: Numbers, target: Numbers) -> _Pairs:
        """Return the pairs of parts with these runs that meet, each counted once."""
        source_runs, target_runs = _listed(source), _listed(target)
        order = np.argsort(target_runs[1], kind="stable")
        target_runs = target_runs[:, order]
        longest = (target_runs[2] - target_runs[1]).max(initial=0)
        low = np.searchsorted(target_runs[1], source_runs[1] - longest, "right")
        number = np.maximum(np.searchsorted(target_runs[1], source_runs[2], "left") - low, 0)
        i = np.repeat(np.arange(number.size), number)
        j = np.arange(i.size) - np.repeat(np.cumsum(number) - number, number) + np.repeat(low, number)
        entries = np.minimum(source_runs[2][i], target_runs[2][j]) - np.maximum(source_runs[1][i], target_runs[1][j])
        kept = entries > 0
        pairs = _Pairs(
            source_runs[0][i[kept]], target_runs[0][j[kept]], 0 * entries[kept], entries[kept], target.shape[1]
        )
        pairs.count[:] = 1
        return pairs

    def mirrored(self) -> _Pairs:
        """Return the same with source and target exchanged."""
        return _Pairs(self.target, self.source, self.count, self.entries, int(self.source.max(initial=0)) + 1)

    def gathered(self, target: Numbers, targets: int) -> _Pairs:
        """Return the pairs with other numbers for the parts of the target; what has the same is added up."""
        return _Pairs(self.source, target, self.count, self.entries, targets)

    def by_source(self, sources: int) -> tuple[Numbers, Numbers]:
        """Return how many pairs each part of the source is in, and their entries."""
        count, entries = np.zeros((2, sources), np.int64)
        np.add.at(count, self.source, self.count)
        np.add.at(entries, self.source, self.entries)
        return count, entries

    def at(self, source: Numbers, target: Numbers) -> tuple[Numbers, Numbers]:
        """Return how often some parts meet, and in how many entries."""
        keys = np.asarray(source * self._targets + target)
        if self._keys.size == 0:
            return np.zeros(keys.shape, np.int64), np.zeros(keys.shape, np.int64)
        places = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        met = self._keys[places] == keys
        return self.count[places] * met, self.entries[places] * met


def _listed(ends: Numbers) -> Numbers:
    """Return the runs of parts that are not empty, in a table of part, start and stop."""
    part, run = np.nonzero(ends[0] < ends[1])
    return np.stack([part, ends[0, part, run], ends[1, part, run]])


def _met(source_runs: Numbers, target_runs: Numbers) -> tuple[Numbers, Numbers]:
    """Return, for each of my parts of one run, how many of theirs it meets, and in how many entries."""
    starts, stops = (np.sort(ends[target_runs[0] < target_runs[1]]) for ends in target_runs)
    first, last = source_runs[:, :, 0]
    entries = (_reached(last, starts, stops) - _reached(first, starts, stops)) * (first < last)
    count = np.searchsorted(starts, last, "left") - np.searchsorted(stops, first, "right")
    return np.asarray(count * (first < last)), np.asarray(entries)


def _reached(places: Numbers, starts: Numbers, stops: Numbers) -> Numbers:
    """Return how many entries, counted as often as they are held, lie before each place."""
    total = np.zeros(places.shape, np.int64)
    for ends, sign in ((starts, 1), (stops, -1)):
        before = np.searchsorted(ends, places, "left")
        sums = np.concatenate([[0], np.cumsum(ends)])
        total += sign * (before * places - sums[before])
    return total
