"""The stages of a transform: every axis is whole when its turn comes, and has one turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import At, Copies, Cyclic, Replicated, Role, Split, World
from distdl_ops.compositions.fourier.pencils import Stage, stages
from distdl_ops.layouts.layout import Layout
from distdl_ops.testing import Draft, drafts, on_ranks

pytestmark = pytest.mark.serial


@st.composite
def drafts_and_axes(draw: st.DrawFn) -> tuple[Draft, tuple[int, ...], int | None]:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    axes = {name: draw(st.integers(1, 4)) for name in ("rows", "cols", "depth", "time")[: draw(st.integers(1, 4))]}
    layout = draw(drafts(axes, shape, "float64", roles=(At, Split, Cyclic, Replicated), once=True))
    if Copies() in layout.roles.values():  # more grid axes than tensor axes
        layout.roles.update({name: Replicated() for name, role in layout.roles.items() if role == Copies()})
    chosen = tuple(draw(st.permutations(range(len(shape))))[draw(st.integers(0, len(shape))) :])
    return layout, chosen, chosen[-1] if chosen and draw(st.booleans()) else None


@given(drafts_and_axes())
def test_every_axis_has_one_turn_and_is_whole(drawn: tuple[Draft, tuple[int, ...], int | None]) -> None:
    """On any grid, whatever is split; one that must be first is among the first; no rank is added."""
    layout, axes, first = drawn
    found = list(stages(layout.roles, layout.shape, axes, first))
    assert sorted(axis for stage in found for axis in stage.axes) == sorted(axes)
    if first is not None:
        assert first in found[0].axes
    for stage in found:
        lies = Layout(layout.axes, layout.shape, stage.roles)  # raises where the roles do not fit
        assert not any(map(lies.split_axes, stage.axes))
        assert lies.holds_once
    whole = set(axes) - {role.axis for role in layout.roles.values()}
    if whole and (first is None or first in whole):  # what can be transformed where it lies, is
        assert found[0].roles == layout.roles
        assert set(found[0].axes) == whole


@pytest.mark.parametrize(
    ("roles", "shape", "expected"),
    [
        ({"p": Split(0)}, (8, 8), [({"p": Split(0)}, (1,)), ({"p": Split(1)}, (0,))]),
        ({"p": Split(0)}, (8,), [({"p": At(0)}, (0,))]),
        ({"p": Replicated()}, (8, 8), [({"p": Replicated()}, (0, 1))]),
        (
            {"p": Split(0), "q": Split(1)},
            (8, 8, 4, 5),
            [({"p": Split(0), "q": Split(1)}, (2, 3)), ({"p": Split(3), "q": Split(2)}, (0, 1))],
        ),
        (
            {"p": Split(0), "q": Split(1)},
            (8, 8),
            [({"p": Split(1), "q": Split(1)}, (0,)), ({"p": Split(0), "q": Split(0)}, (1,))],
        ),
    ],
    ids=["slabs", "one axis", "replicated", "two axes freed at once", "two grid axes split one tensor axis"],
)
def test_examples(
    roles: dict[str, Role],
    shape: tuple[int, ...],
    expected: list[tuple[dict[str, Role], tuple[int, ...]]],
) -> None:
    """Few repartitions: as many axes are freed at once as there are others to split in their place."""
    found = list(stages(roles, shape, range(len(shape))))
    assert [(stage.roles, stage.axes) for stage in found] == expected
    assert isinstance(found[0], Stage)


def test_the_axis_with_most_entries_is_split() -> None:
    """Among those that are free, done or not to be transformed, so that the work is shared best."""
    _, last = stages({"p": Split(0)}, (8, 3, 9, 2), (0, 1))
    assert last.roles == {"p": Split(2)}


def test_it_is_the_same_on_every_rank() -> None:
    """The stages follow from the layout alone."""

    def main(world: World) -> list[Stage]:
        return list(stages({"p": Split(1), "q": Split(0)}, (4, 4, 4), (0, 1, 2)))

    assert len({str(found) for found in on_ranks(4, main)}) == 1
