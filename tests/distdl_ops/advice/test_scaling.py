"""What an expression is said to cost on other numbers of ranks is what it costs there."""

from typing import Any

import numpy as np
import pytest

from distdl_ops import (
    AllGather,
    At,
    Copies,
    DistributedSpace,
    Finish,
    Grid,
    HaloExchange,
    InFlight,
    Local,
    Machine,
    Movement,
    Replicated,
    Shift,
    Split,
    Start,
    World,
    scaling,
    simulate,
)
from linop import (
    BlockDiagonal,
    Diagonal,
    Euclidean,
    HStack,
    Identity,
    LinearOperator,
    SpaceError,
    VStack,
    cost,
)

pytestmark = pytest.mark.serial


def expression(world: World, extent: int = 24) -> LinearOperator:
    """Return an expression of everything that scales, on a grid of two axes."""
    S = DistributedSpace(Grid(world, p=world.size // 2, q=2), (extent, 12), p=Split(0), q=Split(1))
    H = HaloExchange(S, {0: (2, 1)}, boundary="periodic")
    D = Local(S, S, Diagonal(np.ones(S.shape), Euclidean(S.shape)))
    M = Movement(S, S.with_roles(p=Copies(), q=At(1)))
    return 2 * (H.H @ H) @ D + M.H @ M + Shift(S, 1, "q").H @ Shift(S, 1, "q") + D


@pytest.mark.parametrize("ranks", [4, 6, 8, 12])
@pytest.mark.parametrize("grow", [False, True])
def test_scaled_costs_are_costs(ranks: int, grow: bool) -> None:
    """Laid out anew, an expression costs what it costs when it is built there; the tensor may grow with the ranks."""
    extent = 24 * ranks // 4 if grow else 24
    expected = simulate(ranks, lambda world: cost(expression(world, extent)))[0]
    found = simulate(4, lambda world: scaling(expression(world), [ranks], grow=0 if grow else None))[0]
    assert found.costs == (expected,)


@pytest.mark.parametrize("ranks", [2, 6, 20])
def test_halves_of_a_movement_scale(ranks: int) -> None:
    """What starts, and what finishes while there is other work, costs what it costs elsewhere."""

    def halves(world: World) -> LinearOperator:
        S = DistributedSpace(Grid(world, p=world.size), (40, 60), p=Copies())
        T = S.with_roles(p=Split(0))
        start, finish = VStack(Start(S, T), Identity(S)), HStack(Finish(S, T), Movement(S, T))
        return finish @ BlockDiagonal(Identity(InFlight(S, T)), Identity(S)) @ start

    expected = simulate(ranks, lambda world: cost(halves(world)))[0]
    assert simulate(4, lambda world: scaling(halves(world), [ranks]))[0].costs == (expected,)


def test_a_million_ranks() -> None:
    """Costs on a million ranks are found by one rank alone, and nothing is sent."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, rows=2, cols=2), (10**6, 1000), rows=Split(0), cols=Split(1))
        A = (
            AllGather(S, S.with_roles(rows=Replicated()))
            @ HaloExchange(S, {1: (1, 1)}).H
            @ HaloExchange(S, {1: (1, 1)})
        )
        if world.rank > 0:
            return None
        before = vars(world.traffic).copy()
        found = scaling(A, [10, 10**3, 10**6], machine=Machine(alpha=1, beta=0, gamma=0, delta=0))
        assert vars(world.traffic) == before
        return found

    found = simulate(4, main)[0]
    assert [c.messages for c in found.costs] == [2 + 4, 2 + 499, 2 + 499_999]
    assert found.seconds == tuple(c.messages for c in found.costs)
    assert len(str(found).splitlines()) == 4


def test_what_does_not_fit_is_refused() -> None:
    """Numbers of ranks that make no grid, and intervals that follow no rule, are refused in words."""

    def main(world: World) -> None:
        grid = Grid(world, p=2, q=2)
        S = DistributedSpace(grid, (8, 8), p=Split(0, [(0, 3), (3, 8)]), q=At(1))
        T = S.with_roles(p=Split(0), q=At(1))
        for make, message in [
            (lambda: scaling(Movement(T, T), [5]), "no multiple of 2"),
            (lambda: scaling(Movement(T, T), [4], axis="r"), "expected an axis of the grid"),
            (lambda: scaling(Movement(S, T), [8]), "no balanced ones"),
            (lambda: scaling(Movement(T, T), [2], axis="q"), "along 'q', rank 1 is not among 1"),
            (lambda: scaling(Movement(T, T), [4], grow=2), "found 2 to grow"),
            (lambda: scaling(Diagonal(np.ones(3)), [4]), "expected a distributed space"),
            (lambda: scaling(Movement(T, DistributedSpace(Grid(world, r=4), (8, 8), r=Copies())), [4]), "one grid"),
        ]:
            with pytest.raises(SpaceError, match=message):
                make()

    simulate(4, main)


def test_the_picture_shows_what_is_counted() -> None:
    """The lines of the picture are the shares of the four constants, and their sum."""
    pytest.importorskip("matplotlib")
    found = simulate(4, lambda world: scaling(expression(world), [4, 8, 12]))[0]
    figure = found.plot()
    (ax,) = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert set(lines) == {"messages", "bytes sent", "operations", "bytes in memory", "all together"}
    np.testing.assert_array_equal(lines["messages"], [Machine().alpha * c.messages for c in found.costs])
    np.testing.assert_array_equal(lines["all together"], found.seconds)
    assert found.plot(ax) is figure
