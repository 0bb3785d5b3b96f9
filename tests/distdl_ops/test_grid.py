"""Grids: ranks on named axes."""

from typing import Any

import pytest

from distdl_ops import AgreementError, Grid, World
from distdl_ops.testing import on_ranks


def test_coordinates(ranks: int) -> None:
    """Ranks lie in row-major order; those beyond the grid have no coordinates."""

    def main(world: World) -> None:
        grid = Grid(world, rows=1, cols=ranks)
        assert grid.coordinates == {"rows": 0, "cols": world.rank}
        assert [grid.rank_at({"rows": 0, "cols": k}) for k in range(ranks)] == list(range(ranks))
        small = Grid(world, rows=1)
        assert small.coordinates == ({"rows": 0} if world.rank == 0 else None)
        assert small.line(("rows",)) is None or world.rank == 0
        assert Grid(world, rows=1, cols=ranks) == grid
        assert Grid(world, cols=ranks, rows=1) != grid

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [4], indirect=True)
def test_lines(ranks: int) -> None:
    """A line is the world of the ranks that differ along some axes only, in row-major order."""

    def main(world: World) -> None:
        grid = Grid(world, rows=2, cols=2)
        assert grid.coordinates is not None
        for axes in (("rows",), ("cols",), ("rows", "cols"), ()):
            line = grid.line(axes)
            assert line is not None
            members = line.allgather(grid.coordinates, "test")
            assert len(members) == 2 ** len(axes)
            assert members[line.rank] == grid.coordinates
            assert members == sorted(members, key=lambda c: tuple(c.values()))
            assert all(m[name] == grid.coordinates[name] for m in members for name in {"rows", "cols"} - {*axes})
            assert grid.line(axes) is line

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("axes", "complaint"),
    [
        ({"rows": 9}, "needs 9 ranks, the world has"),
        ({"rows": 0}, "one or more"),
        ({"rows": -1}, "one or more"),
        ({"rows": 1.0}, "one or more"),
        ({"ranks": [0, 0], "rows": 2}, "each rank once"),
        ({"ranks": [9], "rows": 1}, "whole numbers from 0"),
        ({"ranks": [-1], "rows": 1}, "whole numbers from 0"),
        ({"ranks": [0.5], "rows": 1}, "whole numbers from 0"),
        ({"ranks": [0], "rows": 2}, "expected 2 ranks"),
        ({"ranks": [], "rows": 1}, "expected 1 ranks"),
    ],
)
def test_what_is_no_grid_is_refused(ranks: int, axes: Any, complaint: str) -> None:
    """The same error on every rank."""

    def main(world: World) -> str:
        with pytest.raises(ValueError, match=complaint) as caught:
            Grid(world, **axes)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_that_ask_for_different_grids(ranks: int) -> None:
    """All ranks raise, and say who asked for what."""

    def main(world: World) -> str:
        with pytest.raises(AgreementError, match="Grid: the ranks disagree") as caught:
            Grid(world, rows=ranks if world.rank else 1)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1
