"""Layouts and plans are geometry: they need no processes, and hold for any number of ranks."""

import itertools
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import At, Copies, Cyclic, Replicated, Split, balanced
from distdl_ops.grid import coordinates_of, place_at
from distdl_ops.layouts.layout import Layout, runs
from distdl_ops.layouts.runs import Run, slice_length
from distdl_ops.testing import Draft, drafts_of_one_tensor
from distdl_ops.transfer.plan import Box, Plan

pytestmark = pytest.mark.serial


@given(st.lists(st.integers(1, 5), max_size=3), st.integers(0, 130))
def test_coordinates_there_and_back(lengths: list[int], rank: int) -> None:
    """Ranks lie in row-major order; those beyond the grid have no coordinates."""
    axes = {f"axis {k}": length for k, length in enumerate(lengths)}
    found = coordinates_of(axes, rank)
    if rank < np.prod(lengths, dtype=int):
        assert found is not None
        assert list(found.values()) == [int(k) for k in np.unravel_index(rank, lengths)] if lengths else found == {}
        assert place_at(axes, found) == rank
    else:
        assert found is None


@given(drafts_of_one_tensor(9, count=2))
def test_both_ends_of_every_message_agree(drafts: tuple[Draft, Draft]) -> None:
    """What one rank plans to send, another plans to receive: in number, order and shape, on up to 9 ranks."""
    source, target = (draft.layout for draft in drafts)
    ranks = range(max(source.places.span, target.places.span))
    plans = [Plan(source, target, rank) for rank in ranks]

    def shapes(boxes: list[tuple[slice, ...]]) -> list[list[int]]:
        return [list(map(slice_length, box)) for box in boxes]

    sent = {(me, other): shapes(boxes) for me in ranks for other, boxes in plans[me].sends}
    received = {(other, me): shapes(boxes) for me in ranks for other, boxes in plans[me].receives}
    assert sent == received


@given(drafts_of_one_tensor(9, count=2))
def test_a_plan_is_what_comparing_every_rank_with_every_rank_finds(drafts: tuple[Draft, Draft]) -> None:
    """The same partners, and the same entries in the same order; of replicas, the nearest one sends."""
    compare_with_every_rank(*(draft.layout for draft in drafts))


def test_runs_that_go_around_at_both_ends() -> None:
    """Where several runs meet several, the boxes come in one order, for the sender and the receiver."""
    source = Layout({"p": 2}, (3,), {"p": Split(0, [(-2, 3), (1, 7)], "periodic")})
    target = Layout({"p": 2}, (3,), {"p": Split(0, [(2, 8), (-1, 4)], "periodic")})
    compare_with_every_rank(source, target)
    compare_with_every_rank(target, source)


def test_entries_in_equal_steps_are_one_box() -> None:
    """Of a cyclic split, a rank sends what another needs as one slice with a step, not entry by entry."""
    source = Layout({"p": 4}, (4000,), {"p": Cyclic(0)})
    target = Layout({"p": 4}, (4000,), {"p": Split(0)})
    assert Plan(source, target, 1).sends == [(k, [(slice(250 * k, 250 * (k + 1)),)]) for k in range(4)]
    assert Plan(source, target, 0).receives == [(k, [(slice(k, 997 + k, 4),)]) for k in range(4)]
    compare_with_every_rank(source, target)
    compare_with_every_rank(target, Layout({"p": 3}, (4000,), {"p": Cyclic(0, 7)}))


def compare_with_every_rank(source: Layout, target: Layout) -> None:
    """Assert that the plans of all ranks are what the definition says, from every rank to every rank."""
    ranks = range(max(source.places.span, target.places.span))
    plans = [Plan(source, target, rank) for rank in ranks]
    sends, receives = (
        [dict(each) for each in ends] for ends in zip(*((p.sends, p.receives) for p in plans), strict=True)
    )
    for sender, receiver in itertools.product(ranks, ranks):
        common = []
        if _serves(source, sender, receiver):
            common = _common(source.pieces_at(sender), target.pieces_at(receiver))
        sent, received = sends[sender].pop(receiver, []), receives[receiver].pop(sender, [])
        assert sorted(zip(_entries(sent), _entries(received), strict=True)) == common
    assert not any(sends)
    assert not any(receives)


def _entries(boxes: list[Box]) -> list[tuple[int, ...]]:
    """Return the indices in some boxes one by one."""
    return [index for box in boxes for index in itertools.product(*(range(s.start, s.stop, s.step or 1) for s in box))]


def _common(
    source: list[list[Run]] | None, target: list[list[Run]] | None
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the indices in two arrays of the same entries of the tensor."""
    if source is None or target is None:
        return []
    pairs = [
        [(i, j) for (i, a), (j, b) in itertools.product(_places(s), _places(t)) if a == b]
        for s, t in zip(source, target, strict=True)
    ]
    return sorted((tuple(i for i, _ in each), tuple(j for _, j in each)) for each in itertools.product(*pairs))


def _places(runs: list[Run]) -> list[tuple[int, int]]:
    """Return the places in an array and those in the tensor, entry by entry."""
    return [(local + i, start + i) for local, start, length in runs for i in range(length)]


def _serves(source: Layout, sender: int, receiver: int) -> bool:
    """Say whether of all replicas of a vector this one sends: in the receiver's place, or, outside, taken in turns."""
    here = source.coordinates_of(sender)
    there = source.coordinates_of(receiver) or {name: receiver % n for name, n in source.axes.items()}
    return here is not None and all(here[name] == there[name] for name, role in source.roles.items() if role.replicated)


@given(drafts_of_one_tensor(9, count=1), st.data())
def test_which_coordinates_meet_runs(drafts: tuple[Draft], data: st.DataObject) -> None:
    """A role finds its coordinates that hold entries of some runs: what all its coordinates hold says the same."""
    layout = drafts[0].layout
    for name, role in layout.roles.items():
        if role.axis is not None and role.rows(layout.axes[name]) == 1:
            parts, extent = layout.axes[name], data.draw(st.integers(0 if role.boundary == "zero" else 1, 7))
            start = data.draw(st.integers(-2, extent))
            pieces = runs((start, data.draw(st.integers(start, extent + 2))), extent, role.boundary)
            entries = {place for _, place in _places(pieces)}
            held = [{place for _, place in _places(role.runs(k, parts, extent))} for k in range(parts)]
            assert list(role.meeting(pieces, parts, extent)) == [k for k, mine in enumerate(held) if mine & entries]


@given(drafts_of_one_tensor(9, count=1))
def test_runs_are_what_the_definition_says(drafts: tuple[Draft]) -> None:
    """A role's runs, lengths, sizes and ends say the same as its entries, written down one by one."""
    layout = drafts[0].layout
    for name, role in layout.roles.items():
        parts = layout.axes[name]
        for extent in range(1, 6):
            if role.rows(parts) > 1:
                continue
            indices = [role.indices(k, parts, extent) for k in range(parts)]
            for k, mine in enumerate(indices):
                expected = [(i, place) for i, place in enumerate(mine) if place is not None]
                assert _places(role.runs(k, parts, extent)) == expected
                assert role.length(k, parts, extent) == len(mine)
            assert role.sizes(parts, extent).tolist() == [len(mine) for mine in indices]
            assert dict(role.lengths(parts, extent)) == Counter(len(mine) for mine in indices)
            starts, stops = role.ends(parts, extent)
            held = [
                [i for a, b in zip(*ends, strict=True) for i in range(a, b)] for ends in zip(starts, stops, strict=True)
            ]
            assert held == [[place for place in mine if place is not None] for mine in indices]
            intervals = role.intervals_over(parts, extent)
            if intervals is not None and role.boundary == "zero":
                inside = [[i for i in range(a, b) if 0 <= i < extent] for a, b in intervals]
                assert inside == held


def million(roles: dict[str, Split | At | Copies | Replicated], halo: int = 0) -> Layout:
    """Return a matrix of 4 x 4 entries for each of 1000 x 1000 ranks."""
    wider = {
        name: Split(role.axis, balanced(4000, 1000).widened(halo, halo)) if isinstance(role, Split) else role
        for name, role in roles.items()
    }
    return Layout({"rows": 1000, "cols": 1000}, (4000, 4000), wider)


def test_a_plan_on_a_million_ranks() -> None:
    """A rank finds its neighbours without asking anyone: here 8 of a halo in two dimensions."""
    roles = {"rows": Split(0), "cols": Split(1)}
    plan = Plan(million(roles), million(roles, halo=1), 500_500)
    neighbours = [500_500 + 1000 * i + j for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert [rank for rank, _ in plan.sends] == sorted(rank for rank, _ in plan.receives) == neighbours
    assert plan.shape == (6, 6)


@pytest.mark.parametrize(
    ("source", "target", "sends"),
    [
        ({"rows": Replicated(), "cols": Replicated()}, {"rows": Split(0), "cols": Split(1)}, [500_501]),
        ({"rows": Replicated(), "cols": Replicated()}, {"rows": Copies(), "cols": At(501)}, [500_501]),
        ({"rows": Replicated(), "cols": Split(1)}, {"rows": Replicated(), "cols": At(3)}, [500_003]),
        ({"rows": At(500), "cols": Split(1)}, {"rows": At(2), "cols": Split(1)}, [2_501]),
    ],
)
def test_few_partners_of_a_million(
    source: dict[str, Split | At | Copies | Replicated],
    target: dict[str, Split | At | Copies | Replicated],
    sends: list[int],
) -> None:
    """Where little moves, a plan takes little memory: less than a number for each of a thousand ranks on an axis."""
    layouts = million(source), million(target)
    tracemalloc.start()
    try:
        plan = Plan(*layouts, 500_501)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [rank for rank, _ in plan.sends] == sends
    assert most < 8 * 1000


def test_a_whole_vector_to_another_grid() -> None:
    """Everyone has it already: a rank of a million cuts its part out of its own, and looks at no other."""
    whole = Layout({"ranks": 10**6}, (4000, 4000), {"ranks": Replicated()})
    plan = Plan(whole, million({"rows": Split(0), "cols": Split(1)}), 500_501)
    assert plan.sends == [(500_501, [(slice(2000, 2004), slice(2004, 2008))])]
    assert plan.receives == [(500_501, [(slice(0, 4), slice(0, 4))])]


@pytest.mark.parametrize(
    ("role", "once", "partition"),
    [
        (At(0), True, True),
        (Split(0), True, True),
        (Split(0, [(0, 1), (1, 1), (1, 6)]), True, True),
        (Split(0, [(3, 6), (0, 3), (3, 3)]), True, True),
        (Split(0, [(0, 2), (2, 4), (4, 5)], gaps=True), True, False),
        (Cyclic(0, 2), True, True),
        (Split(0, [(0, 2), (1, 4), (4, 6)]), False, False),
        (Split(0, [(-1, 2), (2, 4), (4, 6)]), False, False),
        (Copies(), False, False),
        (Replicated(), True, False),
    ],
)
def test_what_kind_of_layout(role: At | Split | Copies | Replicated, once: bool, partition: bool) -> None:
    """E E* = I without copies and overlap; a partition holds all entries besides, on one rank each."""
    layout = Layout({"p": 3}, (6,), {"p": role})
    assert layout.holds_once_along("p") == once
    assert layout.is_partition == partition
    assert layout.moving_axes(layout) == ([] if once else ["p"])
