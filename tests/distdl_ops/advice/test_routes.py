"""Ways from one layout to another are the same map; the cheapest comes first, and rewriting takes it."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from distdl_ops import (
    Advice,
    At,
    Copies,
    DistributedSpace,
    Grid,
    Machine,
    Movement,
    Replicated,
    Split,
    World,
    advise,
    simulate,
)
from distdl_ops.advice.movement_cost import movement_cost
from distdl_ops.advice.routes import layouts_between, loses_nothing, operations, shortest_path
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.testing import Draft, on_ranks, worlds_and_drafts
from linop import SpaceError, cost, matrix, simplify


@given(worlds_and_drafts(same_grid=True))
def test_all_ways_are_the_same_map(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """Every way that is advised has the matrix of the movement, exactly; they come in the order of their times."""
    size, (s, t) = drawn

    def main(world: World) -> tuple[bool, bool, bool]:
        S, T = s.on(world), t.on(world)
        ways, direct = advise(S, T), matrix(Movement(S, T))
        times = [way.time for way in ways]
        same = all(np.array_equal(matrix(way.operator), direct) for way in ways)
        return same, times == sorted(times), all(way.time == cost(way.operator).time for way in ways)

    assert on_ranks(size, main) == [(True, True, True)] * size


@given(worlds_and_drafts(same_grid=True))
def test_layouts_between_lose_nothing(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """A layout between holds each entry once: its embedding is an isometry, and so is the adjoint, up to replicas."""
    _, drafts = drawn
    source, target = (Layout(draft.axes, draft.shape, draft.roles) for draft in drafts)
    for layout in layouts_between(source, target, every=True):
        found = multiplicity(layout)
        assert loses_nothing(layout)
        assert np.all(found.tensor() == 1)


@given(worlds_and_drafts(same_grid=True))
def test_the_shortest_path_is_the_cheapest(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """No chain of up to three of the layouts between costs less than the shortest path."""
    _, drafts = drawn
    source, target = (Layout(draft.axes, draft.shape, draft.roles) for draft in drafts)

    def total(*path: Layout) -> int:
        return sum(operations(movement_cost(a, b, 8)) for a, b in itertools.pairwise([source, *path, target]))

    shortest = total(*shortest_path(source, target, 8, operations))
    between = list(layouts_between(source, target))
    for count in range(3):
        for path in itertools.permutations(between, count):
            assert shortest <= total(*path)


def on_four(make: Any) -> list[Any]:
    """Return what a function of a space of four ranks, two by two, returns on each."""

    def main(world: World) -> Any:
        grid = Grid(world, rows=2, cols=2)
        return make(lambda shape, rows, cols: DistributedSpace(grid, shape, rows=rows, cols=cols))

    return simulate(4, main)


@pytest.mark.serial
def test_a_movement_along_two_axes_goes_in_steps_where_that_is_cheaper() -> None:
    """Of a small tensor, two all-gathers of one message each beat three messages at once; of a large one, not."""

    def make(space: Any) -> tuple[str, str]:
        found = []
        for n in (4, 256):
            S = space((n, n), Split(0), Split(1))
            found.append(str(simplify(Movement(S, S.with_roles(rows=Replicated(), cols=Replicated())))))
        return found[0], found[1]

    for small, large in on_four(make):
        assert small in ("AllGather(rows) @ AllGather(cols)", "AllGather(cols) @ AllGather(rows)")
        assert large == "AllGather(rows, cols)"


@pytest.mark.serial
def test_the_machine_ranks_the_ways() -> None:
    """Where a message is dear, steps along one axis come first; where a byte in memory is, the direct exchange."""

    def make(space: Any) -> list[str]:
        S = space((64, 64), Split(0), Split(1))
        T = S.with_roles(rows=Copies(), cols=Copies())
        machines = (Machine(1, 0, 0, 0), Machine(0, 0, 0, 1))
        return [str(advise(S, T, by=machine.seconds)[0].operator) for machine in machines]

    for dear_messages, dear_memory in on_four(make):
        assert "@" in dear_messages
        assert dear_memory == "AllGather(rows, cols)"


@pytest.mark.serial
def test_a_broadcast_and_a_scatter() -> None:
    """What is at one rank and goes in parts along one axis, in whole along the other, goes first in parts."""

    def make(space: Any) -> Advice:
        S = space((8, 8), At(0), At(0))
        return advise(S, S.with_roles(rows=Split(0), cols=Copies()))[0]

    for best in on_four(make):
        assert str(best.operator) == "Broadcast(cols) @ Scatter(rows)"
        assert str(best) == f"{best.operator}: 2 messages, 512 bytes"


@pytest.mark.serial
def test_an_all_reduce_goes_in_halves_where_arithmetic_is_dear() -> None:
    """Each rank adds up its own part only, and gathers the others': fewer sums, and more messages."""

    def make(space: Any) -> list[str]:
        C = space((64, 64), Copies(), Replicated())
        R = C.with_roles(rows=Replicated())
        return [str(advise(C, R, by=machine.seconds)[0].operator) for machine in (Machine(0, 0, 1, 0), Machine())]

    for dear, default in on_four(make):
        assert dear == "AllGather(rows) @ ReduceScatter(rows)"
        assert default == "AllReduce(rows)"


def test_other_tensors_are_refused(ranks: int) -> None:
    """There is no way to another tensor; every rank says so."""

    def main(world: World) -> None:
        grid = Grid(world, p=world.size)
        with pytest.raises(SpaceError, match="differ"):
            advise(DistributedSpace(grid, (4,), p=Split(0)), DistributedSpace(grid, (5,), p=Split(0)))

    on_ranks(ranks, main)
