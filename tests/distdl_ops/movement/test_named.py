"""Every named operator, by the same properties on both engines: dense oracle, adjoint, name, refusals."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    AllGather,
    AllReduce,
    AllSumReduce,
    AllToAll,
    At,
    Broadcast,
    Copies,
    Copy,
    Cyclic,
    DistributedSpace,
    Gather,
    Grid,
    HaloExchange,
    Move,
    Movement,
    Pick,
    ReduceScatter,
    Repartition,
    Replicated,
    Role,
    Scatter,
    Slice,
    Split,
    SumReduce,
    World,
    balanced,
    world,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, splits, world_sizes
from linop import LinopError, SpaceError, check_adjoint, matrix
from linop.testing import DTYPES

Named = Callable[[DistributedSpace, DistributedSpace], Movement]


@dataclass(frozen=True)
class Case:
    """A named operator between two layouts on a number of ranks."""

    size: int
    operator: Callable[[World], Movement]
    source: Draft
    target: Draft


@st.composite
def along_some_axes(draw: st.DrawFn, named: Named, pairs: list[tuple[type[Role], type[Role]]]) -> Case:
    """Draw the pair of roles along one grid axis or more, and roles along which nothing moves along the others."""
    size = draw(world_sizes())
    axes = draw(grids(size))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=len(axes), max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    moving = sorted(draw(st.sets(st.sampled_from(sorted(axes)), min_size=1)))  # sets differ in order from rank to rank
    tensor_axes = draw(st.permutations(range(len(shape))))
    source: dict[str, Role] = {}
    target: dict[str, Role] = {}
    for (name, length), axis in zip(axes.items(), tensor_axes, strict=False):
        kinds = draw(st.sampled_from(pairs if name in moving else [(At,), (Split,), (Replicated,)]))
        found: list[Role] = []
        for kind in kinds:
            if kind is At:
                found.append(At(draw(st.integers(0, length - 1))))
            elif kind is Split and draw(st.integers(0, 3)) == 0:
                found.append(Cyclic(axis, draw(st.integers(1, 3))))
            elif kind is Split:
                found.append(draw(splits(axis, shape[axis], length, once=name not in moving)))
            else:
                found.append(kind())
        source[name], target[name] = found[0], found[-1]
    s, t = Draft(axes, shape, dtype, source), Draft(axes, shape, dtype, target)
    return Case(size, lambda world: named(s.on(world), t.on(world)), s, t)


@st.composite
def moves(draw: st.DrawFn) -> Case:
    """Draw a tensor that goes to another rank of its grid, if there is one; or a whole one, to another grid."""
    size = draw(world_sizes())
    axes = draw(grids(size))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=len(axes), max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    long = [name for name, length in axes.items() if length > 1]
    if long and draw(st.booleans()):
        name = draw(st.sampled_from(long))
        here, there = draw(st.permutations(range(axes[name])))[:2]
        still = draw(drafts(axes, shape, dtype, roles=(At, Split, Replicated), once=True))
        s, t = (Draft(axes, shape, dtype, {**still.roles, name: At(place)}) for place in (here, there))
    else:
        s = draw(drafts(axes, shape, dtype, roles=(At,)))
        others = {f"other {name}": length for name, length in draw(grids(size)).items()}
        t = draw(drafts(others, shape, dtype, roles=(At,)))
    return Case(size, lambda world: Move(s.on(world), t.on(world)), s, t)


@st.composite
def all_to_alls(draw: st.DrawFn) -> Case:
    """Draw a tensor that is split, along some grid axes, along another of its axes afterwards."""
    size = draw(world_sizes())
    axes = draw(grids(size, 2))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=2, max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    moving = sorted(draw(st.sets(st.sampled_from(sorted(axes)), min_size=1)))
    ways = list(itertools.permutations(range(len(shape)), len(moving)))
    before = draw(st.sampled_from(ways))
    after = draw(st.sampled_from([way for way in ways if not any(map(int.__eq__, before, way))]))
    free = sorted({*range(len(shape))} - {*before, *after})
    source: dict[str, Role] = {}
    target: dict[str, Role] = {}
    for name, length in axes.items():
        if name in moving:
            i, j = before[moving.index(name)], after[moving.index(name)]
            source[name] = draw(splits(i, shape[i], length, once=True))
            target[name] = draw(splits(j, shape[j], length, once=True))
        else:
            roles: list[Role] = [At(length - 1), Replicated(), *map(Split, free)]
            source[name] = target[name] = role = draw(st.sampled_from(roles))
            free = [axis for axis in free if role != Split(axis)]
    s, t = Draft(axes, shape, dtype, source), Draft(axes, shape, dtype, target)
    return Case(size, lambda world: AllToAll(s.on(world), t.on(world)), s, t)


@st.composite
def repartitions(draw: st.DrawFn) -> Case:
    """Draw two partitions of a tensor, on one grid or on two."""
    size = draw(world_sizes())
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    s, t = (draw(drafts(draw(grids(size)), shape, dtype, roles=(At, Split), once=True)) for _ in range(2))
    single = [layout for layout in (s, t) if Copies in map(type, layout.roles.values())]
    if single:  # more grid axes than tensor axes, and no At was drawn: let one rank of the axis hold it
        s, t = (
            Draft(a.axes, shape, dtype, {n: At(0) if isinstance(r, Copies) else r for n, r in a.roles.items()})
            for a in (s, t)
        )
    return Case(size, lambda world: Repartition(s.on(world), t.on(world)), s, t)


@st.composite
def halo_exchanges(draw: st.DrawFn) -> Case:
    """Draw a tensor that is split in any way without overlap, and halos of any width, for all ranks or one by one.

    They may be wider than shards, or negative.
    """
    size = draw(world_sizes())
    axes = draw(grids(size))
    shape = tuple(draw(st.lists(st.integers(0, 6), min_size=len(axes), max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    s = draw(drafts(axes, shape, dtype, roles=(Split,), once=True, nested=False))
    boundary = draw(st.sampled_from(["zero", "periodic"]))
    widths: dict[int, Any] = {}
    wider: dict[str, Role] = {}
    pairs = st.tuples(st.integers(-3, 4), st.integers(-3, 4))
    for name, role in s.roles.items():
        assert isinstance(role, Split)
        if draw(st.booleans()):
            widths[role.axis] = draw(pairs)
            each = [widths[role.axis]] * axes[name]
        else:
            each = widths[role.axis] = draw(st.lists(pairs, min_size=axes[name], max_size=axes[name]))
        halo = [
            (a - below, max(a - below, b + above)) if b > a else (a, b)
            for (a, b), (below, above) in zip(
                role.intervals or balanced(shape[role.axis], axes[name]), each, strict=True
            )
        ]
        wider[name] = Split(role.axis, halo, boundary)
    t = Draft(axes, shape, dtype, wider)
    return Case(size, lambda world: HaloExchange(s.on(world), widths, boundary), s, t)


NAMED: dict[str, st.SearchStrategy[Case]] = {
    "Broadcast": along_some_axes(Broadcast, [(At, Copies), (At, Replicated)]),
    "SumReduce": along_some_axes(SumReduce, [(Copies, At)]),
    "AllSumReduce": along_some_axes(AllSumReduce, [(Copies, Copies)]),
    "AllReduce": along_some_axes(AllReduce, [(Copies, Replicated)]),
    "Scatter": along_some_axes(Scatter, [(At, Split)]),
    "Gather": along_some_axes(Gather, [(Split, At)]),
    "AllGather": along_some_axes(AllGather, [(Split, Copies), (Split, Replicated)]),
    "ReduceScatter": along_some_axes(ReduceScatter, [(Copies, Split)]),
    "Pick": along_some_axes(Pick, [(Replicated, At)]),
    "Slice": along_some_axes(Slice, [(Replicated, Split)]),
    "Copy": along_some_axes(Copy, [(Replicated, Copies)]),
    "Move": moves(),
    "AllToAll": all_to_alls(),
    "Repartition": repartitions(),
    "HaloExchange": halo_exchanges(),
}


FEWER = settings(max_examples=settings().max_examples // 2)  # there are many names, and one kernel
"""How many examples each named operator gets."""


@pytest.mark.parametrize("name", NAMED)
@FEWER
@given(data=st.data())
def test_dense_oracle_and_adjoint(name: str, data: st.DataObject) -> None:
    """The operator is E_T E_S*, its adjoint the transpose; every check of the adjoint passes with ==."""
    case = data.draw(NAMED[name])
    oracle = case.target.embedding() @ case.source.embedding().T

    def main(world: World) -> tuple[np.ndarray, np.ndarray, list[str]]:
        A = case.operator(world)
        assert Movement(A.domain, A.codomain) == A
        reports = [check_adjoint(A, mode=mode) for mode in ("matrix", "exact")]
        return matrix(A), matrix(A.H), [str(report) for report in reports if not report]

    for forward, backward, failed in on_ranks(case.size, main):
        np.testing.assert_array_equal(forward, oracle)
        np.testing.assert_array_equal(backward, oracle.T)
        assert failed == []


@pytest.mark.parametrize("name", NAMED)
@FEWER
@given(data=st.data())
def test_a_movement_has_the_class_that_its_roles_name(name: str, data: st.DataObject) -> None:
    """Whoever makes it: ``Movement(S, T)`` and the named operator have one class, whose name is printed; so has A.H."""
    case = data.draw(NAMED[name])

    def main(world: World) -> None:
        A = case.operator(world)
        for B, C in ((A, Movement(A.domain, A.codomain)), (A.H, Movement(A.codomain, A.domain))):
            assert type(B) is type(C)
            assert B == C
            assert str(B).startswith((type(B).__name__, "Identity"))
        if name not in ("Repartition", "HaloExchange"):  # these are made of any partitions, and of any widths
            assert type(A).__name__ == name

    on_ranks(case.size, main)


@pytest.mark.parametrize("name", NAMED)
@FEWER
@given(data=st.data())
def test_batch_purity_and_repeatability(name: str, data: st.DataObject) -> None:
    """A batch is moved vector by vector, the same bits every time, and the argument stays as it was."""
    case = data.draw(NAMED[name])

    def main(world: World) -> bool:
        A = case.operator(world)
        x = A.domain.integers(0, (3,))
        before = x.copy()
        y = A(x)
        each = np.stack([A(v) for v in x])
        return all(
            [
                y.tobytes() == each.tobytes() == A(x).tobytes(),
                np.array_equal(x, before),
                not np.shares_memory(x, y),
                y.dtype == x.dtype,
                A.codomain.consistent(y),
            ]
        )

    assert all(on_ranks(case.size, main))


@given(st.one_of(repartitions(), moves(), all_to_alls()))
def test_nothing_is_lost_or_doubled(case: Case) -> None:
    """Of a repartition, a move and an all-to-all, there and back is the identity, both ways."""

    def main(world: World) -> bool:
        A = case.operator(world)
        x, y = A.domain.integers(0), A.codomain.integers(1)
        return np.array_equal(A.H(A(x)), x) and np.array_equal(A(A.H(y)), y)

    assert all(on_ranks(case.size, main))


@given(halo_exchanges())
def test_halo_adjoint_after_halo_counts_multiplicities(case: Case) -> None:
    """H* H multiplies each entry by the number of ranks that see it, none where it is trimmed off."""
    embedding = case.target.embedding()
    multiplicity = (embedding.T @ embedding).diagonal()

    def main(world: World) -> bool:
        A = case.operator(world)
        S = A.domain
        x = S.integers(0)
        return np.array_equal(A.H(A(x)), S.from_global(multiplicity.reshape(S.global_shape)) * x)

    assert all(on_ranks(case.size, main))


@pytest.mark.parametrize(
    ("named", "source", "target", "would_be"),
    [
        (Broadcast, Copies(), At(0), "SumReduce(rows)"),
        (Broadcast, Replicated(), Copies(), "Copy(rows)"),
        (Broadcast, At(0), Split(0), "Scatter(rows)"),
        (Broadcast, At(0), At(0), "Identity"),
        (SumReduce, At(0), Copies(), "Broadcast(rows)"),
        (SumReduce, Copies(), Replicated(), "AllReduce(rows)"),
        (AllSumReduce, Copies(), Replicated(), "AllReduce(rows)"),
        (AllSumReduce, Replicated(), Replicated(), "Identity"),
        (Repartition, Split(0), Copies(), "AllGather(rows)"),
        (Repartition, Replicated(), Split(0), "Slice(rows)"),
        (AllReduce, Copies(), Copies(), "AllSumReduce(rows)"),
        (AllReduce, Copies(), Split(0), "ReduceScatter(rows)"),
        (Scatter, Split(0), At(0), "Gather(rows)"),
        (Scatter, Replicated(), Split(0), "Slice(rows)"),
        (Gather, Split(0), Replicated(), "AllGather(rows)"),
        (Gather, Copies(), At(0), "SumReduce(rows)"),
        (AllGather, Split(0), At(0), "Gather(rows)"),
        (AllGather, Replicated(), Copies(), "Copy(rows)"),
        (ReduceScatter, Copies(), At(0), "SumReduce(rows)"),
        (ReduceScatter, Split(0), Copies(), "AllGather(rows)"),
        (Pick, Copies(), At(0), "SumReduce(rows)"),
        (Pick, At(0), Replicated(), "Broadcast(rows)"),
        (Slice, At(0), Split(0), "Scatter(rows)"),
        (Slice, Copies(), Split(0), "ReduceScatter(rows)"),
        (Copy, Copies(), Replicated(), "AllReduce(rows)"),
        (Copy, Replicated(), Replicated(), "Identity"),
        (Move, At(0), At(0), "Identity"),
        (Move, At(0), Split(0), "Scatter(rows)"),
        (AllToAll, Split(0), Split(0), "Identity"),
        (AllToAll, At(0), Split(1), "Scatter(rows)"),
        (AllToAll, Split(0), Copies(), "AllGather(rows)"),
    ],
)
def test_other_roles_are_refused(ranks: int, named: Named, source: Role, target: Role, would_be: str) -> None:
    """The error names the operator, both spaces, what was expected, and what would be right; on every rank."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 3), rows=source)
        T = S.with_roles(rows=target)
        with pytest.raises(SpaceError) as caught:
            named(S, T)
        assert str(S) in str(caught.value)
        assert str(T) in str(caught.value)
        return str(caught.value)

    first, *others = on_ranks(ranks, main)
    assert all(other == first for other in others)
    assert first.startswith(named.__name__)
    assert "expected" in first
    assert would_be in first


def test_an_all_to_all_leaves_no_entry_behind(ranks: int) -> None:
    """Intervals that overlap, or leave entries out, are refused: there would be no way back."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 4), rows=Split(0))
        some = [(0, 1)] + [(1, 1)] * (ranks - 1)
        messages = []
        for intervals in (some, [(0, 4), *[(3, 4)] * (ranks - 1)] if ranks > 1 else [(-1, 4)]):
            with pytest.raises(SpaceError, match=r"AllToAll : .*intervals that divide tensor axis 1") as caught:
                AllToAll(S, S.with_roles(rows=Split(1, intervals, gaps=True)))
            messages.append(str(caught.value))
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


def test_movements_along_one_grid_need_one_grid(ranks: int) -> None:
    """Between two grids, only a whole tensor moves; the error says so."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 4), rows=Split(0))
        T = DistributedSpace(Grid(world, cols=ranks), (6, 4), cols=At(0))
        with pytest.raises(SpaceError, match=r"Move : .*expected At along every axis of both, found rows=Split\(0, "):
            Move(S, T)
        for named in (Gather, AllToAll, Slice):
            with pytest.raises(SpaceError, match=rf"{named.__name__} : .*expected one grid, found Grid\(rows=\d\) and"):
                named(S, T)
        assert str(Move(T, S.with_roles(rows=At(ranks - 1)))) == "Move"

    on_ranks(ranks, main)


def test_a_message_for_each_that_needs_one(ranks: int) -> None:
    """A move is one message, a scatter one for each other rank, an all-to-all one for each pair of ranks."""

    def main(world: World) -> list[int]:
        S = DistributedSpace(Grid(world, rows=ranks), (ranks, ranks), rows=Split(0))
        first, last = S.with_roles(rows=At(0)), S.with_roles(rows=At(ranks - 1))
        found = []
        for A in (Scatter(first, S), Gather(S, last), AllToAll(S, S.with_roles(rows=Split(1)))):
            before = world.traffic.messages
            A._apply(A.domain.integers(0))
            found.append(world.traffic.messages - before)
        if ranks > 1:
            before = world.traffic.messages
            Move(first, last)._apply(first.integers(0))
            found.append(world.traffic.messages - before)
        return found

    sent = np.array(on_ranks(ranks, main))
    assert sent[:, :3].tolist() == [
        [(ranks - 1) * (rank == 0), int(rank < ranks - 1), ranks - 1] for rank in range(ranks)
    ]
    assert (sent[:, 3:] == (np.arange(ranks) == 0)[:, None]).all()


@pytest.mark.parametrize(
    "widths",
    [
        {1: (1, 1)},
        {0: 1},
        {0: (1, 2, 3)},
        {0: ("a", 1)},
        {0: (0.9, 1.9)},
        {0: None},
        {0: "ab"},
        {0: [(1, 1)] * 7},
        {0: [(1, 1, 1)] * 4},
        {0: [(1, None)]},
        {0: []},
    ],
)
def test_halos_that_do_not_exist_are_refused(ranks: int, widths: Any) -> None:
    """A halo needs a split axis and a pair of whole numbers, or one for each rank."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 4), rows=Split(0))
        with pytest.raises(LinopError, match="HaloExchange") as caught:
            HaloExchange(S, widths)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_widths_are_agreed_on(ranks: int) -> None:
    """Everyone passes the widths of all ranks; a rank that passes its own is told so, as are the others."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (8,), rows=Split(0))
        with pytest.raises(AgreementError, match="HaloExchange: the ranks disagree") as caught:
            HaloExchange(S, {0: (world.rank, 0)})
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_trimming_to_nothing_and_beyond(ranks: int) -> None:
    """Where nothing is left the interval is empty, and where it was empty it stays so, whatever the widths."""

    def main(world: World) -> list[tuple[int, ...]]:
        S = DistributedSpace(Grid(world, rows=ranks), (2 * ranks - 1,), rows=Split(0))
        empty = S.with_roles(rows=Split(0, [(0, 2 * ranks - 1)] + [(3, 3)] * (ranks - 1)))
        operators = [HaloExchange(S, {0: widths}) for widths in ((-1, 0), (-1, -1), (-9, 0), (0, -9), (-2, 2), (-9, 9))]
        operators.append(HaloExchange(empty, {0: [(-1, 0)] + [(5, 5)] * (ranks - 1)}))
        assert all(check_adjoint(A) for A in operators)
        return [A.codomain.shape for A in operators]

    for rank, shapes in enumerate(on_ranks(ranks, main)):
        held = 2 - (rank == ranks - 1)
        assert shapes == [(held - 1,), (0,), (0,), (0,), (held,), (held,), (2 * ranks - 2 if rank == 0 else 0,)]


def test_halos_of_copies_are_refused(ranks: int) -> None:
    """They would be summed on the way."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=1, cols=ranks), (6,), rows=Split(0), cols=Copies())
        with pytest.raises(SpaceError, match="expected each entry once, found cols=Copies"):
            HaloExchange(S, {0: (1, 1)})

    on_ranks(ranks, main)


ALL = (AllGather, AllReduce, AllSumReduce, AllToAll, Broadcast, Copy, Gather, Move, Movement, Pick, ReduceScatter)


@pytest.mark.parametrize("named", [*ALL, Repartition, Scatter, Slice, SumReduce])
def test_what_is_no_space_is_refused(named: Any) -> None:
    """The error names the operator, and what was found."""
    S = DistributedSpace(Grid(world(), rows=1), (6,), rows=Split(0))
    for spaces in ((None, S), (S, None)):
        with pytest.raises(LinopError, match=f"{named.__name__}.* to be a DistributedSpace, found None"):
            named(*spaces)


def test_names(ranks: int) -> None:
    """Movements print as the field calls them; an adjoint has the name of what it is."""

    def main(world: World) -> list[str]:
        grid = Grid(world, rows=ranks, cols=1)
        S = DistributedSpace(grid, (8, 3), rows=Split(0), cols=At(0))
        copies = S.with_roles(rows=Copies())
        halo = HaloExchange(S, {0: (1, 1)})
        mixed = Movement(S, S.with_roles(rows=At(0), cols=Copies()))
        elsewhere = DistributedSpace(Grid(world, all=1), (8, 3), all=At(0))
        return [
            str(A) for A in (Movement(S, copies), Movement(S, copies).H, halo, halo.H, mixed, Movement(S, elsewhere))
        ]

    assert on_ranks(ranks, main)[0] == [
        "AllGather(rows)",
        "ReduceScatter(rows)",
        "HaloExchange(rows)",
        "HaloExchange(rows).H",
        "Movement(rows: Gather, cols: Broadcast)",
        "Repartition",
    ]
