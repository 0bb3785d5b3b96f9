"""The picture of an expression shows the boxes of its plans, in the colours of the ranks that send them."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex

from distdl_ops import (
    At,
    Copies,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    Replicated,
    Split,
    World,
    draw,
    simulate,
)
from distdl_ops.show.pictures import COLOURS, colour
from linop import Diagonal, HStack, LinearOperator, SpaceError

pytestmark = pytest.mark.serial


def drawn(size: int, make: Any, **options: Any) -> Any:
    """Return the picture of an expression on some ranks."""

    def main(world: World) -> Any:
        A = make(world)
        return draw(A, **options) if world.rank == 0 else None

    return simulate(size, main)[0]


def line(world: World, shape: tuple[int, ...] = (12,)) -> DistributedSpace:
    return DistributedSpace(Grid(world, p=world.size), shape, p=Split(0))


def boxes(figure: Any) -> list[tuple[str, float, float]]:
    """Return the filled boxes: the colour, and the place and the width in units of a cell."""
    filled = [p for p in figure.axes[0].patches if p.get_facecolor()[3] > 0 and p.get_linewidth() == 0]
    return [(to_hex(p.get_facecolor()), round(p.get_x(), 3), round(p.get_width(), 3)) for p in filled]


def lines(figure: Any) -> list[str]:
    """Return the colours of the lines between ranks."""
    arrows = [getattr(text, "arrow_patch", None) for text in figure.axes[0].texts]
    return [to_hex(arrow.get_edgecolor()) for arrow in arrows if arrow is not None]


def test_a_box_has_the_colour_of_its_sender() -> None:
    """After an all-gather, every rank holds a box of each; a line leads there from each of the others."""
    figure = drawn(3, lambda world: Movement(line(world), line(world).with_roles(p=Copies())))
    found = boxes(figure)
    for k in range(3):
        assert [width for c, _, width in found if c == colour(k)] == [0.333] * 4  # its own, and one on each rank
    assert sorted(lines(figure)) == sorted(2 * [colour(k) for k in range(3)] + 3 * ["#cccccc"])


def test_sums_are_striped() -> None:
    """What several ranks add has stripes of all their colours, and no more lines than messages."""
    figure = drawn(3, lambda world: Movement(line(world).with_roles(p=Copies()), line(world).with_roles(p=At(1))))
    stripes = [(c, width) for c, _, width in boxes(figure) if width < 0.5]
    assert stripes == [(colour(k), 0.333) for k in range(3)]
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert "0+1+2" in labels


def test_halos_stick_out_and_are_added_back() -> None:
    """A periodic halo is drawn beyond the tensor, in the colour of the other end; its adjoint is hatched."""

    def make(world: World) -> LinearOperator:
        H = HaloExchange(line(world), {0: (2, 1)}, boundary="periodic")
        return H.H @ H

    figure = drawn(3, make)
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    assert len(hatched) == 3 * 2
    first = min(boxes(figure), key=lambda box: box[1])
    assert first[0] == colour(2)
    assert any("with halo 2, 1" in text.get_text() for text in figure.axes[0].texts)


def test_a_slice_of_three_axes_is_drawn() -> None:
    """Of three axes two are drawn; what the slice misses is not."""

    def make(world: World) -> LinearOperator:
        S = DistributedSpace(Grid(world, p=2, q=2), (4, 6, 8), p=Split(1), q=Split(2))
        return Movement(S, S.with_roles(p=Split(0), q=Split(2)))

    figure = drawn(4, make, at=(1, 0, 0))
    title = figure.axes[0].get_title()
    assert title == "AllToAll(p)   ([1, :, :])"
    assert len(boxes(figure)) == 4 + 4  # all hold a part of the slice; two hold it afterwards, and receive from two
    assert lines(figure) == lines(drawn(4, make))
    assert boxes(figure) != boxes(drawn(4, make))


@pytest.mark.parametrize("ranks", [10, 12])
def test_ten_ranks_are_drawn(ranks: int) -> None:
    """Ten ranks have ten colours; of more, the first ten are drawn, and the title says so."""
    figure = drawn(ranks, lambda world: Movement(line(world), line(world).with_roles(p=Replicated())))
    names = [text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("rank ")]
    assert names == [f"rank {k}" for k in range(10)]
    assert len(set(COLOURS)) == 10
    assert ("ranks 0 to 9 of 12" in figure.axes[0].get_title()) == (ranks == 12)


def test_sums_stand_side_by_side() -> None:
    """Each term of a sum has a picture of its own."""

    def make(world: World) -> LinearOperator:
        H = HaloExchange(line(world), {0: (1, 1)})
        return H.H @ H + 2 * Movement(line(world).with_roles(p=Copies()), line(world)) @ Movement(
            line(world), line(world).with_roles(p=Copies())
        )

    titles = [ax.get_title() for ax in drawn(3, make).axes]
    assert titles == ["HaloExchange(p).H @ HaloExchange(p)", "2 * ReduceScatter(p) @ AllGather(p)"]


def test_what_cannot_be_drawn_is_refused() -> None:
    """Operators of one process, and trees that are no products, have no picture; nor has a place outside the tensor."""

    def main(world: World) -> None:
        A = Movement(line(world), line(world).with_roles(p=Copies()))
        for wrong in (Diagonal([1.0, 2.0]), HStack(A, A)):
            with pytest.raises(SpaceError, match="expected a product"):
                draw(wrong)
        for at in ((12,), (0, 0)):
            with pytest.raises(SpaceError, match="found a slice"):
                draw(A, at=at)

    simulate(2, main)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_pictures_are_saved(tmp_path: Path, kind: str) -> None:
    """A picture is a figure, which is saved as any."""
    figure = drawn(4, lambda world: Movement(line(world, (4, 4)), line(world, (4, 4)).with_roles(p=Split(1))))
    figure.savefig(tmp_path / f"picture.{kind}")
    assert (tmp_path / f"picture.{kind}").stat().st_size > 1000
