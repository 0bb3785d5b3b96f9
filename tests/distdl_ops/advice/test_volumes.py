"""What layouts say of the messages of a movement is what its plans say, rank by rank."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops.advice.volumes import held_by_rank, volumes
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.roles import At, Copies, Replicated, Split
from distdl_ops.layouts.runs import slice_length
from distdl_ops.testing import drafts_of_one_tensor
from distdl_ops.transfer.collective import named
from distdl_ops.transfer.plan import Box, Plan

pytestmark = pytest.mark.serial


def entries(boxes: list[Box]) -> int:
    return sum(math.prod(map(slice_length, box)) for box in boxes)


@st.composite
def pairs_of_layouts(draw: st.DrawFn) -> tuple[Layout, Layout]:
    drafts = draw(drafts_of_one_tensor(draw(st.integers(1, 6)), same_grid=draw(st.booleans())))
    first, second = (draft.layout for draft in drafts)
    return first, second


@given(pairs_of_layouts())
def test_the_flow_is_that_of_the_plans(layouts: tuple[Layout, Layout]) -> None:
    """On every rank, messages and entries that leave, arrive and stay are those of its plan."""
    check_flow(*layouts)


def test_the_order_of_axes_matters() -> None:
    """On a grid of the same axes in another order, ranks have other coordinates: no collective is named there."""
    axes = {"p": 2, "q": 3}
    for role in (At(1), Split(0), Copies(), Replicated()):
        S = Layout(axes, (6, 4), {"p": role, "q": Split(1)})
        T = Layout(dict(reversed(axes.items())), (6, 4), {"p": Copies(), "q": Split(1)})
        check_flow(S, T)
        check_flow(T, S)
        assert named(S, T) is named(T, S) is None


def check_flow(source: Layout, target: Layout) -> None:
    """Compare with the plans of all ranks."""
    found = volumes(source, target)
    for rank in range(max(source.places.span, target.places.span)):
        plan = Plan(source, target, rank)
        out = [entries(boxes) for other, boxes in plan.sends if other != rank]
        arriving = [entries(boxes) for other, boxes in plan.receives if other != rank]
        kept = sum(entries(boxes) for other, boxes in plan.sends if other == rank)
        expected = (len(out), sum(out), len(arriving), sum(arriving), kept)
        assert tuple(int(numbers[rank]) for numbers in found) == expected, rank


@given(pairs_of_layouts())
def test_what_leaves_arrives(layouts: tuple[Layout, Layout]) -> None:
    """All ranks together send as many messages and entries as they receive."""
    found = volumes(*layouts)
    assert found.messages_out.sum() == found.messages_in.sum()
    assert found.entries_out.sum() == found.entries_in.sum()


def test_a_million_ranks() -> None:
    """A halo exchange between a million ranks is counted from its layouts; everyone has two neighbours."""
    axes, shape = {"rows": 1000, "cols": 1000}, (8000, 4000)
    S = Layout(axes, shape, {"rows": Split(0), "cols": Split(1)})
    halo = [(8 * k - 1, 8 * k + 9) for k in range(1000)]
    T = Layout(axes, shape, {"rows": Split(0, halo), "cols": Split(1)})
    found = volumes(S, T)
    assert found.messages_out.sum() == 1000 * (2 * 998 + 2)
    assert found.entries_out.max() == 8
    everyone = volumes(S, Layout(axes, shape, {"rows": Copies(), "cols": At(3)}))
    assert everyone.messages_out.max() == 1000
    assert volumes(S, Layout(axes, shape, {"rows": Replicated(), "cols": Split(1)})).messages_in.max() == 999


@given(pairs_of_layouts())
def test_what_ranks_hold(layouts: tuple[Layout, Layout]) -> None:
    """Every rank holds what its array has room for, and nothing outside the grid."""
    source, target = layouts
    ranks = max(source.places.span, target.places.span)
    for layout in (source, target):
        expected = [
            math.prod(layout.shape_at(rank)) if layout.coordinates_of(rank) is not None else 0 for rank in range(ranks)
        ]
        assert held_by_rank(layout, ranks).tolist() == expected
