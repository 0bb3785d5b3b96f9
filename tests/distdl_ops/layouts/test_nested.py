"""Several grid axes split one tensor axis, in order; and grids lie over any ranks, in any order."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import (
    Copies,
    Cyclic,
    DistributedCorrelation,
    DistributedCumulativeSum,
    DistributedFFT,
    DistributedMatrix,
    DistributedRestriction,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    Repartition,
    Replicated,
    Shift,
    Split,
    World,
    balanced,
    costs,
    draw,
    simulate,
    traffic,
)
from distdl_ops.advice.volumes import volumes
from distdl_ops.grid import Places
from distdl_ops.layouts.layout import Layout
from distdl_ops.testing import Draft, nested_splits, on_ranks, splits
from distdl_ops.transfer.plan import Plan
from linop import SpaceError, assert_adjoint, check, matrix, simplify


@st.composite
def nested_drafts(draw: st.DrawFn) -> Draft:
    """Return a tensor of one axis or two on three grid axes, two or more of which split the first axis."""
    shape = (draw(st.integers(0, 9)), *draw(st.sampled_from([(), (2,)])))
    axes = {name: draw(st.integers(1, 3)) for name in "abc"}
    sizes, roles = [shape[0]], {}
    for k, (name, parts) in enumerate(axes.items()):
        if k == 0:
            roles[name] = draw(splits(0, shape[0], parts, once=True))
        elif k == 2 and draw(st.booleans()):
            roles[name] = draw(st.sampled_from([Copies(), Replicated(), Cyclic(0)]))
            break
        else:
            roles[name] = draw(nested_splits(0, sizes, parts, once=True))
        role = roles[name]
        sizes = [role.row(o, parts).length(i, parts, n) for o, n in enumerate(sizes) for i in range(parts)]
    return Draft(axes, shape, "float64", roles)


@pytest.mark.serial
@given(nested_drafts())
def test_each_splits_what_those_before_it_give(draft: Draft) -> None:
    """Runs, shapes and sizes are those of the embedding, entry by entry; where ranks hold intervals, these say so."""
    layout = draft.layout
    rows = draft.embedding().argmax(axis=1).tolist() if np.prod(draft.shape) else []
    held = []
    for rank in layout.counted_ranks():
        pieces = layout.pieces_at(rank) or []
        axes = [[start + i for _, start, length in runs for i in range(length)] for runs in pieces]
        assert layout.shape_at(rank) == tuple(map(len, axes))
        held += [int(np.ravel_multi_index(index, draft.shape)) for index in itertools.product(*axes)]
        if layout.intervals(0) is not None:
            assert [range(*ends) for ends in layout.intervals_at(rank) or ()] == [
                range(each[0], each[-1] + 1) if each else range(*ends)
                for each, ends in zip(axes, layout.intervals_at(rank) or (), strict=True)
            ]
    assert held == rows
    assert layout.size == len(draft.embedding())
    assert layout.largest_part == max(np.prod(layout.shape_at(rank)) for rank in range(layout.ranks))
    assert layout.split_axes(0) == tuple(name for name, role in draft.roles.items() if role.axis == 0)
    assert layout.divides(0)


@pytest.mark.serial
@given(nested_drafts())
def test_intervals_make_the_same_roles_again(draft: Draft) -> None:
    """What `intervals` says, `roles_for` writes down: one layout, one way to write it."""
    layout = draft.layout
    intervals = layout.intervals(0)
    if intervals is not None:
        again = Layout(draft.axes, draft.shape, {**layout.roles, **layout.roles_for(0, intervals)})
        assert again.intervals(0) == intervals
        assert [again.pieces_at(rank) for rank in range(layout.ranks)] == [
            layout.pieces_at(rank) for rank in range(layout.ranks)
        ]


@pytest.mark.serial
def test_balanced_parts_of_balanced_parts() -> None:
    """As torch's [Shard(0), Shard(0)]: uneven and empty parts included."""
    layout = Layout({"p": 2, "q": 3}, (7,), {"p": Split(0), "q": Split(0)})
    assert list(layout.intervals(0) or ()) == [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7)]
    assert str(layout) == "(7,) p=Split(0) q=Split(0)"
    written = Layout({"p": 2, "q": 3}, (7,), {"p": Split(0), "q": Split(0, [(0, 2), (2, 3), (3, 4), *balanced(3, 3)])})
    assert written == layout
    few = Layout({"p": 2, "q": 3}, (2,), {"p": Split(0), "q": Split(0)})
    assert list(few.intervals(0) or ()) == [(0, 1), (1, 1), (1, 1), (1, 2), (2, 2), (2, 2)]


@pytest.mark.serial
def test_a_default_is_one_wherever_it_comes() -> None:
    """A split that was filled in for the whole axis divides parts anew when another axis comes before it, and back."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=2, q=2), (8,), p=Replicated(), q=Split(0))
        T = S.with_roles(p=Split(0))
        assert T.roles == {"p": Split(0, balanced(8, 2)), "q": Split(0)}
        assert T.with_roles(p=Replicated()) == S
        assert T.like(shape=(12, 2)).global_shape == (12, 2)
        assert T.like(shape=(12, 2)).split_axes(0) == ("p", "q")

    simulate(4, main)


@pytest.mark.serial
@given(nested_drafts(), nested_drafts(), st.permutations(range(30)))
def test_counts_are_those_of_plans(s: Draft, t: Draft, order: list[int]) -> None:
    """What costs say of every rank is what its plan does, also on grids over other ranks in another order."""
    t = replace(t, shape=s.shape, roles=dict.fromkeys(t.roles, Split(0)))
    t = replace(t, ranks=tuple(order[: int(np.prod(list(t.axes.values())))]))
    for source, target in ((s.layout, t.layout), (t.layout, s.layout)):
        span = max(source.places.span, target.places.span)
        plans = [Plan(source, target, rank) for rank in range(span)]
        out = volumes(source, target)
        assert out.messages_out.tolist() == [sum(other != p.rank for other, _ in p.sends) for p in plans]
        assert out.messages_in.tolist() == [sum(other != p.rank for other, _ in p.receives) for p in plans]


@pytest.mark.serial
@settings(max_examples=settings().max_examples // 3 + 1)
@given(st.integers(1, 12), st.tuples(st.integers(-1, 2), st.integers(-1, 2)), st.sampled_from(["zero", "periodic"]))
def test_halos_of_parts_of_parts(extent: int, widths: tuple[int, int], boundary: str) -> None:
    """Each rank's interval is wider, whichever grid axes made it; trimmed back, the space is the same again."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=2, q=2), (extent,), p=Split(0), q=Split(0))
        H = HaloExchange(S, {0: widths}, boundary)  # type: ignore[arg-type]
        before, after = S.layout.intervals(0), H.codomain.layout.intervals(0)
        assert before is not None
        if after is not None:
            wide = before.widened(*widths)
            assert [each for each in after if each[0] < each[1]] == [each for each in wide if each[0] < each[1]]
        x = np.arange(1.0, extent + 1)
        y = H(S.from_global(x))
        start, stop = before.widened(*widths)[world.rank]
        whole = np.pad(x, 40, mode="wrap") if boundary == "periodic" else np.pad(x, 40)
        np.testing.assert_array_equal(y, whole[40 + start : 40 + stop])
        assert_adjoint(H)

    simulate(4, main)


@pytest.mark.serial
def test_operators_on_parts_of_parts() -> None:
    """Products, windows, transforms, slices and shifts: those of one process."""
    generator = np.random.default_rng(2)
    W, x = generator.integers(-3, 4, (6, 9)).astype(float), generator.integers(-3, 4, (9, 5)).astype(float)

    def main(world: World) -> None:
        grid = Grid(world, p=2, q=2)
        S = DistributedSpace(grid, (9, 5), p=Split(0), q=Split(0))
        mine = S.from_global(x)
        for roles in (
            {"p": Split(0), "q": Split(0)},
            {"p": Split(0), "q": Replicated()},
            {"p": Split(1), "q": Copies()},
        ):
            Y = DistributedSpace(grid, (6, 5), roles=roles)
            A = DistributedMatrix(W, S, Y)
            assert_adjoint(A)
            np.testing.assert_array_equal(A(mine), Y.from_global(W @ x))
        C = DistributedCorrelation(S, np.ones((3, 1)), padding=((1, 1), (0, 0)), stride=(2, 1))
        padded = np.pad(x, ((1, 1), (0, 0)))
        np.testing.assert_array_equal(C.codomain.to_global(C(mine)), (padded[:-2] + x + padded[2:])[::2])  # type: ignore[attr-defined]
        assert C.codomain.split_axes(0) == ("p", "q")  # type: ignore[attr-defined]
        R = DistributedRestriction(S, np.s_[1:8:2])
        np.testing.assert_array_equal(R.codomain.to_global(R(mine)), x[1:8:2])  # type: ignore[attr-defined]
        Z = S.like(dtype=complex)
        F = DistributedFFT(Z)
        np.testing.assert_allclose(F.codomain.to_global(F(Z.from_global(x + 0j))), np.fft.fft2(x), atol=1e-9)  # type: ignore[attr-defined]
        for A in (
            C,
            R,
            F,
            DistributedCumulativeSum(S, 1),
            Shift(S, 1, "q"),
            Shift(S, -1, "p"),
            Shift(S, 1, "p", False),
        ):
            assert_adjoint(A)
        with pytest.raises(SpaceError, match=r"one grid axis that splits tensor axis 0, found p, q; a Repartition"):
            DistributedCumulativeSum(S, 0)
        draw(Movement(S, S.with_roles(p=Replicated())))

    simulate(4, main)


@pytest.mark.serial
def test_shifts_move_parts_whole() -> None:
    """Along either grid axis, a rank has what another one had, uneven parts included."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=2, q=2), (7,), p=Split(0, [(0, 5), (5, 7)]), q=Split(0))
        x = S.from_global(np.arange(7.0))
        parts = world.allgather(x.tolist(), "test")
        p, q = divmod(world.rank, 2)
        for axis, other in (("p", 2 * (1 - p) + q), ("q", 2 * p + 1 - q)):
            A = Shift(S, 1, axis)
            assert A(x).tolist() == parts[other] == A.codomain.from_global(np.arange(7.0)).tolist()
            assert A.H.codomain == S

    simulate(4, main)


# -- grids over any ranks ----------------------------------------------------------------------------------------------


@pytest.mark.serial
def test_a_grid_over_some_ranks() -> None:
    """Ranks stand in the order in which they are given; the others hold nothing; two grids may share no rank."""

    def main(world: World) -> tuple[object, list[float]]:
        low, high = Grid(world, ranks=[1, 0], p=2), Grid(world, ranks=[4, 5, 3, 2], rows=2, cols=2)
        S = DistributedSpace(low, (6,), p=Split(0))
        T = DistributedSpace(high, (6,), rows=Split(0), cols=Split(0))
        A = Movement(S, T)
        assert_adjoint(A)
        y = A(S.from_global(np.arange(6.0)))
        np.testing.assert_array_equal(T.to_global(y), np.arange(6.0))
        assert all(check(Repartition(S, T)))
        return high.coordinates, y.tolist()

    assert simulate(7, main) == [
        (None, []),
        (None, []),
        ({"rows": 1, "cols": 1}, [5.0]),
        ({"rows": 1, "cols": 0}, [3.0, 4.0]),
        ({"rows": 0, "cols": 0}, [0.0, 1.0]),
        ({"rows": 0, "cols": 1}, [2.0]),
        (None, []),
    ]


@pytest.mark.serial
def test_collectives_on_reordered_ranks() -> None:
    """Broadcasts and sums on many ranks, where they are the library's: the root is the one at the coordinate."""

    def main(world: World) -> list[float]:
        order = [*range(world.size - 1, 0, -1)]
        S = DistributedSpace(Grid(world, order, p=len(order)), (2,), p=Copies())
        T = S.with_roles(p=Replicated())
        A = Movement(S, T)
        assert [each.collectives for each in traffic(A)] == [0, *[1] * (world.size - 1)]
        assert len(costs(A)) == world.size
        return A(S.from_global(np.ones(2))).tolist()

    assert simulate(7, main) == [[], *[[6.0, 6.0]] * 6]


@pytest.mark.serial
def test_ranks_of_a_grid_are_no_axis_and_an_axis_may_be_called_ranks() -> None:
    """A sequence says which ranks, a number is the length of an axis; both at once, the ranks come by place."""

    def main(world: World) -> list[object]:
        grids = [
            Grid(world, ranks=2),
            Grid(world, ranks=[1, 0], p=2),
            Grid(world, [1, 0], ranks=2),
            Grid(world, ranks=(1,)),
        ]
        return [(grid.axes, grid.rank_at(dict.fromkeys(grid.axes, 0))) for grid in grids]

    expected = [({"ranks": 2}, 0), ({"p": 2}, 1), ({"ranks": 2}, 1), ({}, 1)]
    assert simulate(2, main) == [expected] * 2


@pytest.mark.serial
@given(st.permutations(range(8)), st.integers(0, 8))
def test_places(order: list[int], count: int) -> None:
    """Where a rank stands and who stands there are inverse to each other; consecutive ranks take no memory."""
    members = order[:count]
    places = Places({"p": count}, members)
    assert [places.place_of(rank) for rank in members] == list(range(count))
    assert all(places.place_of(rank) is None for rank in order[count:])
    assert places.span == max(members, default=-1) + 1
    assert Places({"p": 3}, [4, 5, 6]).members == range(4, 7)
    assert Places({"p": 3}, [4, 5, 6]).covers(Places({"p": 2}, [6, 4]))
    assert not Places({"p": 3}, [4, 5, 6]).covers(Places({"p": 2}, [6, 7]))


def test_simplify_between_reordered_grids(ranks: int) -> None:
    """There and back is the identity, whichever order the ranks stand in."""

    def main(world: World) -> bool:
        S = DistributedSpace(Grid(world, p=ranks), (5,), p=Split(0))
        T = DistributedSpace(Grid(world, list(range(ranks))[::-1], p=ranks), (5,), p=Split(0))
        A = Movement(T, S) @ Movement(S, T)
        assert (S == T) == (ranks == 1)
        return str(simplify(A)) == "Identity" and np.array_equal(matrix(A), np.eye(5))

    assert all(on_ranks(ranks, main))
