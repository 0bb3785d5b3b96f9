"""How a split is carried from one extent to another: what lies together stays together where this can be."""

from __future__ import annotations

from collections.abc import Callable

from distdl_ops import Split
from distdl_ops.layouts.intervals import Interval, balanced
from distdl_ops.layouts.roles import Role
from torch_bridge.tensors.axes import on_axis
from torch_bridge.tensors.placement import Placement, place


def held_here(placement: Placement) -> tuple[Interval, ...]:
    """Return the interval of every axis that this rank holds; empty ones outside the grid."""
    return placement.layout.intervals_at(placement.grid.world.rank) or ((0, 0),) * len(placement.shape)


def carried(role: Split, axis: int, extent: int, results: int, cut: Callable[[int], int] | None = None) -> Role:
    """Return the role that splits the results of an axis as the axis is split.

    Parameters
    ----------
    role : Split
        Of the axis.
    axis : int
        Of the results.
    extent, results : int
        How many entries and how many results there are. Where both are equal, the intervals stay; where entries are
        balanced, results are.
    cut : callable, optional
        The first result above an entry where others begin; by default in proportion.
    """
    if extent == results:
        return on_axis(role, axis)
    if role.intervals == balanced(extent, len(role.intervals)):
        return Split(axis)

    def end(entry: int) -> int:
        if entry <= 0 or entry >= extent:
            return 0 if entry <= 0 else results
        return min(max(0, (2 * entry * results + extent) // (2 * extent) if cut is None else cut(entry)), results)

    return Split(axis, [(end(start), end(stop)) for start, stop in role.intervals])


def coarse(placement: Placement, axis: int, each: int) -> Placement:
    """Return how a tensor lies whose entry along an axis stands for so many: cuts go to the nearest of its own."""
    if each == 1:
        return placement
    shape = list(placement.shape)
    shape[axis] //= each
    roles = dict(placement.roles)
    for name, role in placement.splits(axis).items():
        assert isinstance(role, Split)
        ends = [[min((end + each // 2) // each, shape[axis]) for end in pair] for pair in role.intervals]
        roles[name] = Split(axis, ends)
    return place(placement.grid, tuple(shape), roles)


def fine(placement: Placement, axis: int, each: int) -> Placement:
    """Return how a tensor lies that has so many entries along an axis for one: the inverse of `coarse`."""
    if each == 1:
        return placement
    shape = list(placement.shape)
    shape[axis] *= each
    roles = dict(placement.roles)
    for name, role in placement.splits(axis).items():
        assert isinstance(role, Split)
        roles[name] = Split(axis, [(start * each, stop * each) for start, stop in role.intervals])
    return place(placement.grid, tuple(shape), roles)
