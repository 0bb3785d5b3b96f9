"""The block-cyclic split: it works in every movement, operator, picture and cost, without any of them knowing it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AllGather,
    AllToAll,
    At,
    Copies,
    Cyclic,
    DistributedCorrelation,
    DistributedCumulativeSum,
    DistributedDiagonal,
    DistributedFFT,
    DistributedMatrix,
    DistributedRestriction,
    DistributedSpace,
    Gather,
    Grid,
    HaloExchange,
    Movement,
    ReduceScatter,
    Repartition,
    Replicated,
    Scatter,
    Shift,
    Slice,
    Split,
    World,
    advise,
    costs,
    draw,
    explain,
    scaling,
    simulate,
    traffic,
)
from distdl_ops.layouts.layout import Layout
from distdl_ops.testing import on_ranks
from distdl_ops.transfer.plan import Plan
from linop import LinearOperator, SpaceError, assert_adjoint, cost, matrix, simplify


@pytest.mark.serial
@given(st.integers(0, 40), st.integers(1, 5), st.integers(1, 6), st.integers(0, 5))
def test_blocks_are_dealt_out_round_and_round(extent: int, block: int, parts: int, first: int) -> None:
    """Block j lies on rank j + first, modulo the number of ranks; together they are the tensor."""
    layout = Layout({"p": parts}, (extent,), {"p": Cyclic(0, block, first % parts)})
    held = [
        [start + i for _, start, length in (layout.pieces_at(k) or [[]])[0] for i in range(length)]
        for k in range(parts)
    ]
    for k, mine in enumerate(held):
        assert mine == [i for i in range(extent) if (i // block + first) % parts == k]
        assert layout.shape_at(k) == (len(mine),)
    assert sorted(itertools.chain(*held)) == list(range(extent))
    assert layout.is_partition
    assert layout.size == extent


@pytest.mark.serial
def test_a_block_has_entries_and_the_first_a_place() -> None:
    """What is no block, and no coordinate, is refused in words."""
    with pytest.raises(ValueError, match="one entry or more"):
        Cyclic(0, 0)
    with pytest.raises(SpaceError, match="first below 2"):
        Layout({"p": 2}, (8,), {"p": Cyclic(0, 1, 2)})
    with pytest.raises(SpaceError, match="the tensor has axes 0 to 0"):
        Layout({"p": 2}, (8,), {"p": Cyclic(1)})


def test_named_movements(ranks: int) -> None:
    """A cyclic split is a split: the field's names are the same."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=ranks), (7, 5), p=Cyclic(0, 2))
        T = S.with_roles(p=Cyclic(1))
        one, copies, same = (S.with_roles(p=role) for role in (At(0), Copies(), Replicated()))
        movements = [Gather(S, one), Scatter(one, S), AllGather(S, copies), ReduceScatter(copies, S), Slice(same, S)]
        movements += [
            Repartition(S, S.with_roles(p=Split(0))),
            AllToAll(S, T),
            Shift(S, 1, "p"),
            Shift(S, -2, "p", False),
        ]
        for A in movements:
            assert_adjoint(A)
        assert AllToAll(T, S) == AllToAll(S, T).H
        assert Shift(S, 1, "p").codomain.roles == {"p": Cyclic(0, 2, 1 % ranks)}

    on_ranks(ranks, main)


def test_operators(ranks: int) -> None:
    """Each operator is that of one process, or says in words that it needs one interval for each rank."""
    generator = np.random.default_rng(1)
    W, x = generator.integers(-3, 4, (6, 9)).astype(float), generator.integers(-3, 4, (9, 4)).astype(float)

    def main(world: World) -> None:
        grid = Grid(world, p=ranks)
        S = DistributedSpace(grid, (9, 4), p=Cyclic(0, 2))

        def equals(A: LinearOperator, expected: np.ndarray) -> None:
            assert_adjoint(A)
            np.testing.assert_allclose(A.codomain.to_global(A(S.from_global(x))), expected, atol=1e-12)  # type: ignore[attr-defined]

        for role in (Cyclic(0), Split(0), Copies(), Replicated()):
            Y = DistributedSpace(grid, (6, 4), p=role)
            A = DistributedMatrix(W, S, Y)
            assert_adjoint(A)
            np.testing.assert_array_equal(A(S.from_global(x)), Y.from_global(W @ x))
            assert DistributedMatrix(lambda rows, columns: W[rows, columns], S, Y) == A
        equals(DistributedDiagonal(x, S), x * x)
        equals(DistributedCorrelation(S, np.ones((3, 1)), padding=((1, 1), (0, 0))), _sums(x))
        equals(DistributedCumulativeSum(S, 1), np.cumsum(x, 1))
        C = S.like(dtype=complex)
        F = DistributedFFT(C)
        np.testing.assert_allclose(F.codomain.to_global(F(C.from_global(x + 0j))), np.fft.fft2(x), atol=1e-9)  # type: ignore[attr-defined]
        refused = [
            lambda: HaloExchange(S, {0: (1, 1)}),
            lambda: DistributedCumulativeSum(S, 0),
            lambda: DistributedRestriction(S, np.s_[1:]),
        ]
        for make in refused:
            with pytest.raises(SpaceError, match=r"interval.* Split\(0"):
                make()

    on_ranks(ranks, main)


def _sums(x: np.ndarray) -> np.ndarray:
    """Return each row plus those above and below."""
    padded = np.pad(x, ((1, 1), (0, 0)))
    return padded[:-2] + padded[1:-1] + padded[2:]


@pytest.mark.serial
def test_two_grid_axes_make_scalapacks_matrix() -> None:
    """On a grid of 2 x 2 ranks, entry (i, j) lies on the rank of its blocks: the users' guide, figure 4.6."""

    def main(world: World) -> np.ndarray:
        S = DistributedSpace(Grid(world, rows=2, cols=2), (9, 9), rows=Cyclic(0, 2), cols=Cyclic(1, 2))
        return S.to_global(S.zeros() + world.rank)

    owners = simulate(4, main)[0]
    i, j = np.indices((9, 9))
    np.testing.assert_array_equal(owners, 2 * (i // 2 % 2) + j // 2 % 2)


def test_nested_in_a_split_and_around_one(ranks: int) -> None:
    """What another grid axis gives is dealt out, and what is dealt out is split."""

    def main(world: World) -> None:
        grid = Grid(world, p=2 if ranks > 1 else 1, q=max(ranks // 2, 1))
        S = DistributedSpace(grid, (11,), p=Split(0), q=Cyclic(0))
        T = DistributedSpace(grid, (11,), p=Cyclic(0, 2), q=Split(0))
        x = np.arange(11.0)
        np.testing.assert_array_equal(Movement(S, T)(S.from_global(x)), T.from_global(x))
        np.testing.assert_array_equal(T.to_global(T.from_global(x)), x)
        assert_adjoint(Movement(S, T) @ Movement(T, S))

    on_ranks(ranks, main)


@pytest.mark.serial
def test_costs_pictures_and_words() -> None:
    """What is counted is what is planned; pictures, explanations, advice and scaling know it, too."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=4), (24, 3), p=Cyclic(0, 2))
        A = Movement(S, S.with_roles(p=Split(0)))
        planned = [len([rank for rank, _ in Plan(S.layout, A.codomain.layout, k).sends if rank != k]) for k in range(4)]
        assert [each.messages for each in traffic(A)] == planned
        assert [each.messages for each in costs(A)] == planned
        before = world.traffic.messages
        A(S.zeros())
        assert world.traffic.messages - before == planned[world.rank]
        assert "Cyclic(0, 2)" in str(explain(A))
        assert advise(S, A.codomain)[0].cost == cost(A)
        assert scaling(A, [2, 8]).costs[1].messages > 0
        assert simplify(A.H @ A).domain == S
        figure = draw(A)
        cells = [p for p in figure.axes[0].patches if p.get_height() > 0]
        assert len(cells) > 4 * 3  # a box for each block

    simulate(4, main)


@pytest.mark.serial
def test_a_plan_of_many_blocks_is_small() -> None:
    """A million blocks that go to few ranks are few boxes."""
    source = Layout({"p": 4}, (100_000,), {"p": Cyclic(0)})
    target = Layout({"p": 4}, (100_000,), {"p": Cyclic(0, 1, 1)})
    assert [boxes for _, boxes in Plan(source, target, 0).sends] == [[(slice(0, 25_000),)]]
    whole = Layout({"p": 4}, (100_000,), {"p": Replicated()})
    assert Plan(source, whole, 0).receives[1] == (1, [(slice(1, 99_998, 4),)])


def test_matrices_of_movements(ranks: int) -> None:
    """A movement from a cyclic split to a split is the permutation of the definition."""

    def main(world: World) -> np.ndarray:
        S = DistributedSpace(Grid(world, p=ranks), (6,), p=Cyclic(0))
        return matrix(Movement(S, S.with_roles(p=Split(0))))

    order = [i for k in range(ranks) for i in range(k, 6, ranks)]
    for found in on_ranks(ranks, main):
        np.testing.assert_array_equal(found, np.eye(6)[:, order])
