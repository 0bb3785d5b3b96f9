"""Layouts and plans are geometry: they need no processes, and hold for any number of ranks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import At, Copies, Replicated, Split, balanced
from distdl_ops.grid import coordinates_of, rank_at
from distdl_ops.layout import Layout
from distdl_ops.plan import Plan
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


def test_a_plan_on_a_million_ranks() -> None:
    """A rank finds its neighbours without asking anyone: here 8 of a halo in two dimensions."""
    roles = {"rows": Split(0), "cols": Split(1)}
    owned = Layout({"rows": 1000, "cols": 1000}, (4000, 4000), roles)
    halo = [(start - 1, stop + 1) for start, stop in balanced(4000, 1000)]
    wide = Layout(owned.axes, owned.shape, {"rows": Split(0, halo), "cols": Split(1, halo)})
    plan = Plan(owned, wide, 500_500)
    neighbours = [500_500 + 1000 * i + j for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert [rank for rank, _ in plan.sends] == sorted(rank for rank, _ in plan.receives) == neighbours
    assert plan.shape == (6, 6)


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
