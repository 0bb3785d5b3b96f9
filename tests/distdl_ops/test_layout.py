"""Layouts and plans are geometry: they need no processes, and hold for any number of ranks."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import At, Copies, Replicated, Split, balanced
from distdl_ops.grid import coordinates_of, rank_at
from distdl_ops.layout import Layout, runs
from distdl_ops.plan import Plan, common_boxes
from distdl_ops.testing import Draft, drafts_of_one_tensor

pytestmark = pytest.mark.serial


@given(st.lists(st.integers(1, 5), max_size=3), st.integers(0, 130))
def test_coordinates_there_and_back(lengths: list[int], rank: int) -> None:
    """Ranks lie in row-major order; those beyond the grid have no coordinates."""
    axes = {f"axis {k}": length for k, length in enumerate(lengths)}
    found = coordinates_of(axes, rank)
    if rank < np.prod(lengths, dtype=int):
        assert found is not None
        assert list(found.values()) == [int(k) for k in np.unravel_index(rank, lengths)] if lengths else found == {}
        assert rank_at(axes, found) == rank
    else:
        assert found is None


@given(drafts_of_one_tensor(9, count=2))
def test_both_ends_of_every_message_agree(drafts: tuple[Draft, Draft]) -> None:
    """What one rank plans to send, another plans to receive: in number, order and shape, on up to 9 ranks."""
    source, target = (Layout(draft.axes, draft.shape, draft.roles) for draft in drafts)
    ranks = range(max(source.ranks, target.ranks))
    plans = [Plan(source, target, rank) for rank in ranks]

    def shapes(boxes: list[tuple[slice, ...]]) -> list[list[int]]:
        return [[s.stop - s.start for s in box] for box in boxes]

    sent = {(me, other): shapes(boxes) for me in ranks for other, boxes in plans[me].sends}
    received = {(other, me): shapes(boxes) for me in ranks for other, boxes in plans[me].receives}
    assert sent == received


@given(drafts_of_one_tensor(9, count=2))
def test_a_plan_is_what_comparing_every_rank_with_every_rank_finds(drafts: tuple[Draft, Draft]) -> None:
    """The same partners, and the same boxes in the same order; of replicas, the nearest one sends."""
    compare_with_every_rank(*(Layout(draft.axes, draft.shape, draft.roles) for draft in drafts))


def test_runs_that_go_around_at_both_ends() -> None:
    """Where several runs meet several, the boxes come in the order of the source's, for the sender and the receiver."""
    source = Layout({"p": 2}, (3,), {"p": Split(0, [(-2, 3), (1, 7)], "periodic")})
    target = Layout({"p": 2}, (3,), {"p": Split(0, [(2, 8), (-1, 4)], "periodic")})
    compare_with_every_rank(source, target)
    compare_with_every_rank(target, source)


def compare_with_every_rank(source: Layout, target: Layout) -> None:
    """Assert that the plans of all ranks are what the definition says, from every rank to every rank."""
    ranks = range(max(source.ranks, target.ranks))
    for me in ranks:
        plan = Plan(source, target, me)
        sends, receives = [], []
        for other in ranks:
            if _serves(source, me, other):
                common = common_boxes(source.pieces_at(me), target.pieces_at(other))
                sends.append((other, [box for box, _ in common]))
            if _serves(source, other, me):
                common = common_boxes(source.pieces_at(other), target.pieces_at(me))
                receives.append((other, [box for _, box in common]))
        assert plan.sends == [(rank, boxes) for rank, boxes in sends if boxes]
        assert sorted(plan.receives) == [(rank, boxes) for rank, boxes in receives if boxes]


def _serves(source: Layout, sender: int, receiver: int) -> bool:
    """Say whether of all replicas of a vector this one sends: in the receiver's place, or, outside, taken in turns."""
    here = coordinates_of(source.axes, sender)
    there = coordinates_of(source.axes, receiver) or {name: receiver % n for name, n in source.axes.items()}
    return here is not None and all(
        here[name] == there[name] for name, role in source.roles.items() if isinstance(role, Replicated)
    )


@given(drafts_of_one_tensor(9, count=1), st.data())
def test_whose_intervals_meet_runs(drafts: tuple[Draft], data: st.DataObject) -> None:
    """Periodic intervals see the tensor again, however often they go around it."""
    layout = Layout(drafts[0].axes, drafts[0].shape, drafts[0].roles)
    for name, role in layout.roles.items():
        if isinstance(role, Split) and layout.shape[role.axis] > 0:
            extent = layout.shape[role.axis]
            start = data.draw(st.integers(-2, extent))
            pieces = runs((start, data.draw(st.integers(start, extent + 2))), extent, role.boundary)
            entries = {i for _, first, length in pieces for i in range(first, first + length)}
            seen = [runs(interval, extent, role.boundary) for interval in role.intervals]
            held = [{i for _, first, length in found for i in range(first, first + length)} for found in seen]
            assert layout.meeting(name, pieces) == [k for k, found in enumerate(held) if found & entries]


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
        (Split(0, [(0, 2), (2, 4), (4, 5)]), True, False),
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
