"""What an expression is said to send is what it sends, rank by rank, on both engines."""

import math
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given

from distdl_ops import (
    At,
    Copies,
    DistributedSpace,
    Finish,
    Grid,
    HaloExchange,
    InFlight,
    Local,
    Movement,
    Replicated,
    Shift,
    Split,
    Start,
    World,
    simulate,
)
from distdl_ops.advice.cost import ParallelCost, costs, traffic
from distdl_ops.advice.movement_cost import movement_cost
from distdl_ops.layouts.layout import Layout
from distdl_ops.testing import Tree, on_ranks, worlds_and_trees
from distdl_ops.transfer.collective import FEW
from distdl_ops.worlds.world import Traffic
from linop import (
    BlockDiagonal,
    Cost,
    Diagonal,
    Euclidean,
    HStack,
    Identity,
    Inverse,
    LinearOperator,
    LinopError,
    Restriction,
    VStack,
    cost,
    simplify,
)


def counted(A: LinearOperator, world: World) -> Traffic:
    """Return what one application sends from this rank."""
    x = A.domain.zeros()
    before = replace(world.traffic)
    A(x)
    after = world.traffic
    return Traffic(after.messages - before.messages, after.bytes - before.bytes, after.collectives - before.collectives)


@given(worlds_and_trees())
def test_predicted_traffic_is_counted_traffic(drawn: tuple[int, Tree]) -> None:
    """Messages, bytes and collectives of random expressions and their adjoints are those that the world counts."""
    size, tree = drawn
    assert on_ranks(size, lambda world: predicts(world, tree)) == [[True] * 4] * size


@given(worlds_and_trees())
def test_predicted_collectives_are_counted_collectives(drawn: tuple[int, Tree]) -> None:
    """The same where no ranks are few: all that the roles name goes by a collective."""
    size, tree = drawn
    with mock.patch.dict(FEW, dict.fromkeys(FEW, 1)):
        assert on_ranks(size, lambda world: predicts(world, tree)) == [[True] * 4] * size


def predicts(world: World, tree: Tree) -> list[bool]:
    """Say of an expression, its adjoint, a tuple and what is simpler whether they send what they are said to send."""
    A = tree.on(world)
    return [traffic(B)[world.rank] == counted(B, world) for B in (A, A.H, VStack(A, A), simplify(A))]


@pytest.mark.serial
@pytest.mark.parametrize("ranks", [5, 17])
def test_many_ranks_do_not_exchange(ranks: int) -> None:
    """On more ranks than few, all-reductions, then broadcasts and reductions go by collectives; so they are counted."""

    def main(world: World) -> tuple[int, ...]:
        S = DistributedSpace(Grid(world, p=world.size), (6,), p=At(1))
        C = S.with_roles(p=Copies())
        movements = Movement(C, S.with_roles(p=Replicated())), Movement(S, C), Movement(C, S)
        assert [traffic(A)[world.rank] for A in movements] == [counted(A, world) for A in movements]
        for A in movements:
            assert as_numbers(cost(A)) == tuple(map(max, zip(*map(as_numbers, costs(A)), strict=True)))
        return tuple(traffic(A)[world.rank].collectives for A in movements)

    assert simulate(ranks, main) == [(1, 1, 1) if ranks == 17 else (1, 0, 0)] * ranks


@pytest.mark.parametrize("steps", [-1, 0, 1, 2, 5])
@pytest.mark.parametrize("periodic", [True, False])
def test_shifts(ranks: int, steps: int, periodic: bool) -> None:
    """A shift sends what is not empty to the neighbour that there is; its cost is the largest of that."""

    def main(world: World) -> tuple[bool, bool]:
        grid = Grid(world, p=world.size)
        S = DistributedSpace(grid, (3, 2), p=Split(0))
        A = Shift(S, steps, "p", periodic)
        largest = max(found.bytes for found in traffic(A)), max(found.messages for found in traffic(A))
        found = cost(A)
        return traffic(A)[world.rank] == counted(A, world), (found.sent, found.messages) >= largest

    assert on_ranks(ranks, main) == [(True, True)] * ranks


def overlapped(world: World) -> LinearOperator:
    """Return the sum of a copy's all-reduction and of work that is done while its messages travel."""
    S = DistributedSpace(Grid(world, p=world.size), (5, 2), p=Copies())
    T = S.with_roles(p=Split(0))
    own = Local(S, T, Restriction(Euclidean(S.shape), tuple(slice(n) for n in T.shape)))
    return (
        HStack(Finish(S, T), Identity(T))
        @ BlockDiagonal(Identity(InFlight(S, T)), own)
        @ VStack(Start(S, T), Identity(S))
    )


def test_what_is_in_flight_is_counted_once(ranks: int) -> None:
    """Messages are counted where they start, sums where they end; together they are those of the movement."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=world.size), (5, 2), p=Copies())
        T = S.with_roles(p=Split(0))
        start, finish, whole = Start(S, T), Finish(S, T), Movement(S, T)
        for A, B, C in ((start, finish, whole), (finish.H, start.H, whole.H)):
            for one, other, both in zip(costs(A), costs(B), costs(C), strict=True):
                assert as_numbers(one + other) == as_numbers(both)
            assert cost(A) + cost(B) >= cost(C)
            assert traffic(A) == traffic(C)
            assert traffic(B) == [Traffic()] * world.size
            assert traffic(B @ A)[world.rank] == counted(B @ A, world)
        A = overlapped(world)
        for B in (A, A.H):
            assert traffic(B)[world.rank] == counted(B, world)
            assert all(as_numbers(cost(B)) >= as_numbers(one) for one in costs(B))

    on_ranks(ranks, main)


@given(worlds_and_trees())
def test_the_cost_is_the_largest_over_the_ranks(drawn: tuple[int, Tree]) -> None:
    """Of every movement and local operator, the cost is the largest over the ranks; of an expression, no less."""
    size, tree = drawn

    def main(world: World) -> None:
        A = tree.on(world)
        found, each = cost(A), [as_numbers(c) for c in costs(A)]
        assert len(each) == world.size
        if isinstance(A, Movement | Local):
            assert as_numbers(found) == tuple(map(max, zip(*each, strict=True)))
        assert all(np.all(np.array(as_numbers(found)) >= one) for one in each)
        for one, sent in zip(each, traffic(A), strict=True):
            if sent.collectives == 0:
                assert one[2] >= sent.messages
                assert one[3] >= sent.bytes

    on_ranks(size, main)


def as_numbers(found: Cost) -> tuple[int, ...]:
    more = (found.messages, found.sent) if isinstance(found, ParallelCost) else (0, 0)
    return (found.flops, found.bytes, *more)


@pytest.mark.serial
@pytest.mark.parametrize("ranks", [2, 4, 5, 8, 1000])
def test_collectives_take_the_better_algorithm(ranks: int) -> None:
    """Short vectors go along a tree, in as few messages as can be; of long ones, hardly more than twice is sent.

    Few ranks send everyone everything.
    """
    found = []
    for n in (1, 10**6):
        S, T = (Layout({"p": ranks}, (n,), {"p": role}) for role in (Copies(), Replicated()))
        one = movement_cost(S, T, 8)
        found.append((one.messages, one.sent))
    steps, others = math.ceil(math.log2(ranks)), ranks - 1
    if ranks <= FEW["allreduce"]:
        assert found == [(others, 8 * others), (others, 8 * others * 10**6)]
    else:
        assert found == [(steps, 8 * steps), (2 * steps, 8 * -(-2 * 10**6 * others // ranks))]


def test_costs_add_up_and_compare() -> None:
    """Costs with messages and without add up in any order; a message outweighs what it carries when that is little."""
    plain, parallel = Cost(10, 160), ParallelCost(1, 2, 3, 4)
    assert plain + parallel == parallel + plain == ParallelCost(11, 162, 3, 4)
    assert sum([plain, parallel], Cost()) == ParallelCost(11, 162, 3, 4)
    assert 2 * parallel == parallel * 2 == parallel + parallel
    assert plain < parallel <= parallel < parallel + plain
    assert parallel > plain
    assert ParallelCost(messages=2, sent=8) > ParallelCost(messages=1, sent=800)
    for other in ("one", None):
        with pytest.raises(TypeError):
            parallel + other  # type: ignore[operator]
    with pytest.raises(TypeError):
        parallel * 0.5  # type: ignore[operator]


def test_an_all_to_all_of_a_million_ranks() -> None:
    """What a movement costs is known for any number of ranks."""
    S, T = (Layout({"p": 10**6}, (10**6, 10**6), {"p": Split(k)}) for k in (0, 1))
    found = movement_cost(S, T, 8)
    assert (found.messages, found.sent) == (10**6 - 1, 8 * (10**6 - 1))


def test_what_cannot_be_known_is_refused(ranks: int) -> None:
    """Nobody knows how many steps an inverse takes, nor how the ranks share an array of one process."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=world.size), (6,), p=Split(0))
        A = Local(S, S, Diagonal(np.ones(S.shape), Euclidean(S.shape)))
        with pytest.raises(LinopError, match="not known"):
            traffic(Inverse(A + HaloExchange(S, {0: (1, 1)}).H @ HaloExchange(S, {0: (1, 1)}), positive=True))
        with pytest.raises(LinopError, match="between distributed spaces"):
            costs(Diagonal(np.ones(3)))
        assert traffic(Diagonal(np.ones(3))) == [Traffic()]

    on_ranks(ranks, main)


@pytest.mark.serial
def test_numbers_beyond_64_bits() -> None:
    """Costs are right however many entries there are: a tensor of 2**72 entries costs 2**60 times one of 2**12."""

    def main(world: World) -> list[list[ParallelCost]]:
        found = []
        for extent in (2**2, 2**62):
            S = DistributedSpace(Grid(world, p=4), (extent, 2**10), p=Split(0))
            T, C = S.with_roles(p=Split(1)), S.with_roles(p=Copies())
            R = S.with_roles(p=Replicated())
            found += [
                [*costs(A), ParallelCost() + cost(A), *(ParallelCost(sent=each.bytes) for each in traffic(A))]
                for A in (Movement(S, T), Movement(S, C), Movement(C, R), 2 * Movement(S, T) + Movement(S, T))
            ]
        return found

    found = simulate(4, main)[0]
    half = len(found) // 2
    for small, large in zip(found[:half], found[half:], strict=True):
        for one, other in zip(small, large, strict=True):
            assert other.messages <= max(one.messages, 6)
            assert (other.flops, other.bytes) == (2**60 * one.flops, 2**60 * one.bytes)
            assert other.sent >= 2**60 * one.sent
