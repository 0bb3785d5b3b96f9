"""Every named operator, by the same properties on both engines: dense oracle, adjoint, name, refusals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AllSumReduce,
    At,
    Broadcast,
    Copies,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    Repartition,
    Replicated,
    Role,
    Split,
    SumReduce,
    World,
    balanced,
    world,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import SpaceError, check_adjoint, matrix
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
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    still = draw(drafts(axes, shape, dtype, roles=(At, Split, Replicated), once=True))
    moving = draw(st.sets(st.sampled_from(sorted(axes)), min_size=1))
    source, target = dict(still.roles), dict(still.roles)
    for name in sorted(moving):  # the order of a set differs from rank to rank
        kinds = draw(st.sampled_from(pairs))
        source[name], target[name] = (
            At(draw(st.integers(0, axes[name] - 1))) if kind is At else kind() for kind in kinds
        )
    s, t = Draft(axes, shape, dtype, source), Draft(axes, shape, dtype, target)
    return Case(size, lambda world: named(s.on(world), t.on(world)), s, t)


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
    """Draw a tensor that is split in any way without overlap, and halos of any width, wider than shards too."""
    size = draw(world_sizes())
    axes = draw(grids(size))
    shape = tuple(draw(st.lists(st.integers(0, 6), min_size=len(axes), max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    s = draw(drafts(axes, shape, dtype, roles=(Split,), once=True))
    boundary = draw(st.sampled_from(["zero", "periodic"])) if min(shape) else "zero"
    widths, wider = {}, {}
    for name, role in s.roles.items():
        assert isinstance(role, Split)
        below, above = widths[role.axis] = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
        intervals = role.intervals or balanced(shape[role.axis], axes[name])
        halo = [(a - below, b + above) if b > a else (a, b) for a, b in intervals]
        wider[name] = Split(role.axis, halo, boundary)
    t = Draft(axes, shape, dtype, wider)
    return Case(size, lambda world: HaloExchange(s.on(world), widths, boundary), s, t)


NAMED: dict[str, st.SearchStrategy[Case]] = {
    "Broadcast": along_some_axes(Broadcast, [(At, Copies), (At, Replicated)]),
    "SumReduce": along_some_axes(SumReduce, [(Copies, At)]),
    "AllSumReduce": along_some_axes(AllSumReduce, [(Copies, Copies)]),
    "Repartition": repartitions(),
    "HaloExchange": halo_exchanges(),
}


@pytest.mark.parametrize("name", NAMED)
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


@given(repartitions())
def test_repartition_is_unitary(case: Case) -> None:
    """There and back is the identity, both ways."""

    def main(world: World) -> bool:
        A = case.operator(world)
        x, y = A.domain.integers(0), A.codomain.integers(1)
        return np.array_equal(A.H(A(x)), x) and np.array_equal(A(A.H(y)), y)

    assert all(on_ranks(case.size, main))


@given(halo_exchanges())
def test_halo_adjoint_after_halo_counts_multiplicities(case: Case) -> None:
    """H* H multiplies each entry by the number of ranks that see it: nothing is cropped."""
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
    ],
)
def test_other_roles_are_refused(ranks: int, named: Named, source: Role, target: Role, would_be: str) -> None:
    """The error names the operator, both spaces, what was expected, and what would be right; on every rank."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6,), rows=source)
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


@pytest.mark.parametrize("widths", [{1: (1, 1)}, {0: (-1, 0)}, {0: 1}, {0: (1, 2, 3)}, {0: ("a", 1)}, {0: (0.9, 1.9)}])
def test_halos_that_do_not_exist_are_refused(ranks: int, widths: Any) -> None:
    """A halo needs a split axis and a pair of widths of zero or more."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 4), rows=Split(0))
        with pytest.raises(SpaceError, match="HaloExchange") as caught:
            HaloExchange(S, widths)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_halos_of_copies_are_refused(ranks: int) -> None:
    """They would be summed on the way."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=1, cols=ranks), (6,), rows=Split(0), cols=Copies())
        with pytest.raises(SpaceError, match="expected each entry once, found cols=Copies"):
            HaloExchange(S, {0: (1, 1)})

    on_ranks(ranks, main)


@pytest.mark.parametrize("named", [Movement, Broadcast, SumReduce, AllSumReduce, Repartition])
def test_what_is_no_space_is_refused(named: Any) -> None:
    """The error names the operator, and what was found."""
    S = DistributedSpace(Grid(world(), rows=1), (6,), rows=Split(0))
    for spaces in ((None, S), (S, None)):
        with pytest.raises(TypeError, match=f"{named.__name__}: expected a DistributedSpace, found None"):
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
        "Movement",
    ]
