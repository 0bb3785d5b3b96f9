"""DistributedCumulativeSum: the sum of all entries up to each one, along an axis that may be split over ranks."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DistributedCumulativeSum,
    DistributedSpace,
    Grid,
    Local,
    PrefixSum,
    Replicated,
    Role,
    Split,
    World,
    balanced,
)
from distdl_ops.testing import Draft, drafts, grids, mutant, on_ranks, world_sizes
from linop import CumulativeSum, Euclidean, LinearOperator, LinopError, SpaceError, check, check_adjoint, matrix
from linop.testing import DTYPES


@dataclass(frozen=True)
class Case:
    """A cumulative sum on a number of ranks."""

    size: int
    space: Draft
    axis: int

    def on(self, world: World) -> LinearOperator:
        """Return the operator on a world."""
        return DistributedCumulativeSum(self.space.on(world), self.axis)

    def oracle(self) -> np.ndarray:
        """Return its matrix, entry by entry: a one wherever two coordinates stand on one line, in this order."""
        axis = self.axis % len(self.space.shape)
        found = coordinates(self.space)

        def counts(to: Coordinate, of: Coordinate) -> bool:
            (where, i), (whence, j) = to, of
            same_line = i[:axis] + i[axis + 1 :] == j[:axis] + j[axis + 1 :]
            for name, role in self.space.roles.items():
                same_line &= where[name] == whence[name] or (isinstance(role, Split) and role.axis == axis)
            return same_line and j[axis] <= i[axis]

        return np.array([[counts(to, of) for of in found] for to in found], float).reshape(len(found), len(found))


Coordinate = tuple[dict[str, int], tuple[int, ...]]
"""Where the rank stands that holds an entry, and the entry's index, which may lie beyond the tensor."""


def coordinates(draft: Draft) -> list[Coordinate]:
    """Return a space's coordinates in order, from the definition of the roles; see `Draft.embedding`."""
    found: list[Coordinate] = []
    for place in itertools.product(*(range(length) for length in draft.axes.values())):
        where = dict(zip(draft.axes, place, strict=True))
        held = [range(n) for n in draft.shape]
        here = True
        for name, role in draft.roles.items():
            here &= not (isinstance(role, At) and where[name] != role.index)
            here &= not (isinstance(role, Replicated) and where[name] != 0)
            if isinstance(role, Split):
                intervals = role.intervals or balanced(draft.shape[role.axis], draft.axes[name])
                held[role.axis] = range(*intervals[where[name]])
        found += [(where, index) for index in itertools.product(*held)] if here else []
    return found


@st.composite
def cumulative_sums(draw: st.DrawFn) -> Case:
    """Draw any space; where the axis that is summed along is split, its intervals rise, and may leave entries out."""
    size = draw(world_sizes())
    axes = draw(grids(size))
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    kinds = (At, Split, Copies, Replicated)
    found = draw(drafts(axes, shape, draw(st.sampled_from(DTYPES)), roles=kinds, nested=False))
    roles: dict[str, Role] = {}
    for name, role in found.roles.items():
        roles[name] = role
        if isinstance(role, Split) and role.axis == axis % len(shape):
            roles[name] = Split(role.axis, draw(rising(shape[role.axis], axes[name])), role.boundary, gaps=True)
    return Case(size, Draft(axes, shape, found.dtype, roles), axis)


@st.composite
def rising(draw: st.DrawFn, extent: int, parts: int) -> list[tuple[int, int]]:
    """Draw intervals that rise without overlap, with gaps or without; the empty ones lie anywhere."""
    if draw(st.booleans()):
        cuts = sorted(draw(st.lists(st.integers(0, extent), min_size=parts - 1, max_size=parts - 1)))
        found = list(itertools.pairwise([0, *cuts, extent]))
    else:
        ends = sorted(draw(st.lists(st.integers(0, extent), min_size=2 * parts, max_size=2 * parts)))
        found = list(zip(ends[::2], ends[1::2], strict=True))
    anywhere = draw(st.integers(-1, extent + 1))
    return [(anywhere, anywhere) if start == stop else (start, stop) for start, stop in found]


@given(cumulative_sums())
def test_dense_oracle(case: Case) -> None:
    """Ones on and below the diagonal, in the order of the tensor; the adjoint's matrix is the transpose."""
    oracle = case.oracle()

    def main(world: World) -> tuple[np.ndarray, np.ndarray]:
        A = case.on(world)
        return matrix(A), matrix(A.H)

    for forward, backward in on_ranks(case.size, main):
        np.testing.assert_array_equal(forward, oracle)
        np.testing.assert_array_equal(backward, oracle.T)


@settings(max_examples=settings().max_examples // 3)  # the checks apply the operator many times
@given(cumulative_sums())
def test_all_checks_pass(case: Case) -> None:
    """Adjoint, linearity, purity, batches, and that it is exact."""

    def main(world: World) -> tuple[str, bool]:
        A = case.on(world)
        reports = check(A)
        return str(reports) if not reports else "", A.exact

    assert set(on_ranks(case.size, main)) == {("", True)}


@given(cumulative_sums())
def test_it_is_what_numpy_finds(case: Case) -> None:
    """Of a tensor that is laid out, NumPy's cumsum is laid out; entries that no interval holds count as zeros."""
    axis = case.axis % len(case.space.shape)
    roles = {  # along the other axes, without halos: the layout of one tensor, and of its sums
        name: Split(role.axis) if isinstance(role, Split) and role.axis != axis else role
        for name, role in case.space.roles.items()
    }
    space = Draft(case.space.axes, case.space.shape, "float64", roles)
    held = (space.embedding().sum(axis=0) > 0).reshape(space.shape)
    tensor = np.random.default_rng(0).integers(-9, 10, space.shape) * held

    def main(world: World) -> bool:
        S = space.on(world)
        A = DistributedCumulativeSum(S, case.axis)
        return np.array_equal(A(S.from_global(1.0 * tensor)), S.from_global(np.cumsum(tensor, axis=case.axis)))

    assert all(on_ranks(case.size, main))


@pytest.mark.parametrize("n", [0, 1, 5, 12])
def test_differences_undo_it(ranks: int, n: int) -> None:
    """NumPy's diff of the result is the vector; forwards from the one end, adjoint from the other."""

    def main(world: World) -> tuple[np.ndarray, ...]:
        S = DistributedSpace(Grid(world, rows=ranks), (n, 3), rows=Split(0))
        A, x = DistributedCumulativeSum(S, 0), S.integers(4)
        return S.to_global(x), S.to_global(A(x)), S.to_global(A.H(x))

    for x, forward, backward in on_ranks(ranks, main):
        np.testing.assert_array_equal(np.diff(forward, axis=0, prepend=0), x)
        np.testing.assert_array_equal(-np.diff(backward, axis=0, append=0), x)


def test_along_an_axis_that_is_not_split(ranks: int) -> None:
    """Every rank sums up its own; no message is sent, and none is needed for the other axis."""

    def main(world: World) -> tuple[bool, int]:
        S = DistributedSpace(Grid(world, rows=ranks), (5, 4), rows=Split(0))
        A = DistributedCumulativeSum(S, 1)
        x = S.integers(0)
        before = world.traffic.messages
        y = A._apply(x)
        local = Local(S, S, CumulativeSum(Euclidean(S.shape), 1))
        sent = world.traffic.messages - before
        return local == A and np.array_equal(y, np.cumsum(x, axis=1)), sent

    assert on_ranks(ranks, main) == [(True, 0)] * ranks


def test_only_totals_travel(ranks: int) -> None:
    """However long the axis, a rank sends one row of totals in each round."""

    def main(world: World) -> tuple[int, int]:
        S = DistributedSpace(Grid(world, rows=ranks), (100 * ranks, 3), rows=Split(0))
        A = DistributedCumulativeSum(S, 0)
        x = S.integers(0)
        before = world.traffic.messages, world.traffic.bytes
        A._apply(x)
        return world.traffic.messages - before[0], world.traffic.bytes - before[1]

    for rank, (messages, size) in enumerate(on_ranks(ranks, main)):
        steps = [1] + [2**k for k in range(max(ranks - 1, 0).bit_length())]  # exclusive: one step more
        assert messages == sum(rank + step < ranks for step in steps)
        assert size == 3 * 8 * messages


def test_real_spaces_of_complex_arrays(ranks: int) -> None:
    """They are summed as complex arrays are, and stay real spaces."""

    def main(world: World) -> bool:
        S = DistributedSpace(Grid(world, rows=ranks), (5,), complex, "real", rows=Split(0))
        A = DistributedCumulativeSum(S)
        x = S.integers(0)
        return bool(check(A)) and np.array_equal(S.to_global(A(x)), np.cumsum(S.to_global(x)))

    assert all(on_ranks(ranks, main))


def test_equality_and_printing(ranks: int) -> None:
    """However the axis is counted; it prints as its formula."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (5, 3), rows=Split(0))
        A = DistributedCumulativeSum(S, 0)
        assert DistributedCumulativeSum(S, -2) == A
        assert A.H.H == A
        assert DistributedCumulativeSum(S) != A
        assert str(DistributedCumulativeSum(S)) == "Local(CumulativeSum(axis=-1))"
        totals = DistributedSpace(S.grid, (1, 3), rows=Copies())
        assert str(A).startswith("Local(CumulativeSum(axis=-2)) + Local(")
        assert f" @ {PrefixSum(totals, 'rows', exclusive=True)} @ Local(" in str(A)

    on_ranks(ranks, main)


@pytest.mark.parametrize("library", [torch, array_api_strict])
def test_any_array_library(ranks: int, library: Any) -> None:
    """Arrays of torch and of the strict array API give what NumPy's give, and stay in their library."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (5, 2), rows=Split(0))
        A = DistributedCumulativeSum(S, 0)
        x = S.integers(0, (2,))
        for side in (A, A.H):
            y = side(library.asarray(x))
            assert type(y) is type(library.asarray(x))
            np.testing.assert_array_equal(np.from_dlpack(y), side(x))

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
@pytest.mark.parametrize(
    "ends", [[(0, 3), (2, 6)], [(3, 6), (0, 3)], [(-1, 3), (3, 6)], [(0, 3), (3, 7)], [(0, 3), (0, 3)]]
)
def test_intervals_that_do_not_rise_are_refused(ranks: int, ends: list[tuple[int, int]]) -> None:
    """Overlapping, falling or outside the tensor: the error says what would be right, the same on all ranks."""
    intervals = [*ends, *[(6, 6)] * (ranks - 2)]

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 2), rows=Split(0, intervals, gaps=True))
        with pytest.raises(SpaceError, match=r"that rise from rank to rank .* Repartition") as caught:
            DistributedCumulativeSum(S, 0)
        assert str(S) in str(caught.value)
        assert check_adjoint(DistributedCumulativeSum(S, 1))  # the other axis does not mind
        return str(caught.value)

    first, *others = on_ranks(ranks, main)
    assert first.startswith("DistributedCumulativeSum(")
    assert all(other == first for other in others)


@pytest.mark.parametrize("axis", [2, -3])
def test_axes_that_do_not_exist(ranks: int, axis: Any) -> None:
    """The error names the operator, the space and what was found, the same on all ranks."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 2), rows=Split(0))
        with pytest.raises(LinopError, match="expected one of the tensor's 2 axes, found") as caught:
            DistributedCumulativeSum(S, axis)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_that_disagree(ranks: int) -> None:
    """Another axis on one rank is an error on all of them, however it is counted, and none hangs."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 2), rows=Split(0))
        with pytest.raises(AgreementError, match="DistributedCumulativeSum: the ranks disagree") as caught:
            DistributedCumulativeSum(S, world.rank % 2)
        DistributedCumulativeSum(S, -2 * (world.rank % 2))  # the same axis, counted from either end
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_what_is_no_space_is_refused() -> None:
    """The error names the operator, and what was found: linop's own is for spaces in one process."""
    with pytest.raises(LinopError, match=r"DistributedCumulativeSum.* to be a DistributedSpace, found Euclidean"):
        DistributedCumulativeSum(Euclidean(3))  # type: ignore[arg-type]


# -- faults in the adjoint are found -----------------------------------------------------------------------------------

Fault = Callable[[LinearOperator, np.ndarray], np.ndarray]


def from_the_same_end(A: LinearOperator, y: np.ndarray) -> np.ndarray:
    """Sum from the first entry on, not from the last."""
    return np.asarray(A._apply(y))


def within_ranks_only(A: LinearOperator, y: np.ndarray) -> np.ndarray:
    """Forget the totals of the other ranks."""
    S = A.domain
    return np.asarray(CumulativeSum(Euclidean(S.shape), 0).dual._apply(y))


def reversed_within_ranks_only(A: LinearOperator, y: np.ndarray) -> np.ndarray:
    """Turn each rank's entries round, but not the order of ranks."""
    return np.asarray(A._apply(y[..., ::-1, :].copy())[..., ::-1, :].copy())


def totals_of_all(A: LinearOperator, y: np.ndarray) -> np.ndarray:
    """Add a rank's own total once more."""
    return np.asarray(A.dual._apply(y) + y.sum(axis=-2, keepdims=True))


@pytest.mark.parametrize("n", [8, 300], ids=["matrix", "exact"])
@pytest.mark.parametrize("fault", [from_the_same_end, within_ranks_only, reversed_within_ranks_only, totals_of_all])
@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_mutants_are_caught(ranks: int, fault: Fault, n: int) -> None:
    """A fault in the adjoint fails the check on all ranks; without it, it passes."""

    def main(world: World) -> tuple[bool, bool]:
        A = DistributedCumulativeSum(DistributedSpace(Grid(world, rows=ranks), (n, 2), rows=Split(0)), 0)
        return bool(check_adjoint(mutant(A, fault))), bool(check_adjoint(mutant(A, lambda A, y: A.dual._apply(y))))

    assert on_ranks(ranks, main) == [(False, True)] * ranks
