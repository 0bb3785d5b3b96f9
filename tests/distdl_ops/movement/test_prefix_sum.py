"""PrefixSum: every rank of a grid axis receives the sum of the arrays up to its own."""

import itertools
import math
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
    DistributedSpace,
    Grid,
    PrefixSum,
    Replicated,
    Shift,
    Split,
    World,
    simulate,
)
from distdl_ops.grid import coordinates_of
from distdl_ops.layouts.layout import Layout
from distdl_ops.testing import Draft, drafts, grids, mutant, on_ranks, world_sizes
from linop import Identity, LinearOperator, LinopError, SpaceError, Zero, check, check_adjoint, matrix
from linop.testing import DTYPES


@dataclass(frozen=True)
class Case:
    """A prefix sum on a number of ranks."""

    size: int
    space: Draft
    axis: str
    exclusive: bool

    def on(self, world: World) -> LinearOperator:
        """Return the operator on a world."""
        return PrefixSum(self.space.on(world), self.axis, exclusive=self.exclusive)

    def oracle(self) -> np.ndarray:
        """Return its matrix: an identity wherever one rank stands before another on the same line, or is itself."""
        layout = Layout(self.space.axes, self.space.shape, self.space.roles)
        places = [coordinates_of(layout.axes, rank) or {} for rank in layout.counted_ranks()]
        sizes = [math.prod(layout.shape_at(rank)) for rank in layout.counted_ranks()]

        def block(i: int, j: int) -> np.ndarray:
            to, of = places[i], places[j]
            one_line = all(to[name] == of[name] for name in layout.axes if name != self.axis)
            counts = of[self.axis] < to[self.axis] + (not self.exclusive)
            return np.eye(sizes[i], sizes[j]) * (one_line and counts)

        return np.block([[block(i, j) for j in range(len(places))] for i in range(len(places))])


@st.composite
def prefix_sums(draw: st.DrawFn) -> Case:
    """Draw copies along one axis, and anything along the other."""
    size = draw(world_sizes())
    axes = draw(grids(size))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    found = draw(drafts(axes, shape, draw(st.sampled_from(DTYPES))))
    axis = draw(st.sampled_from(sorted(axes)))
    space = Draft(axes, shape, found.dtype, {**found.roles, axis: Copies()})
    return Case(size, space, axis, draw(st.booleans()))


@given(prefix_sums())
def test_dense_oracle(case: Case) -> None:
    """Identities on and below the diagonal of blocks, or below it; the adjoint's matrix is the transpose."""
    oracle = case.oracle()

    def main(world: World) -> tuple[np.ndarray, np.ndarray]:
        P = case.on(world)
        return matrix(P), matrix(P.H)

    for forward, backward in on_ranks(case.size, main):
        np.testing.assert_array_equal(forward, oracle)
        np.testing.assert_array_equal(backward, oracle.T)


@settings(max_examples=settings().max_examples // 3)  # the checks apply the operator many times
@given(prefix_sums())
def test_all_checks_pass(case: Case) -> None:
    """Adjoint, linearity, purity, batches and claims; it is exact, and knows a bound of its norm."""

    def main(world: World) -> tuple[str, bool, int]:
        P = case.on(world)
        reports = check(P)
        return str(reports) if not reports else "", P.exact and P.gain is not None, P.roundings

    rounds = math.ceil(math.log2(case.space.axes[case.axis]))
    for failed, known, roundings in on_ranks(case.size, main):
        assert failed == ""
        assert known
        assert roundings == rounds


@given(prefix_sums())
def test_inclusive_and_exclusive(case: Case) -> None:
    """The one is the other and one's own; the exclusive one is the inclusive one of the neighbours below."""

    def main(world: World) -> list[bool]:
        S = case.space.on(world)
        P, Q = PrefixSum(S, case.axis), PrefixSum(S, case.axis, exclusive=True)
        x = S.integers(0)
        shifted = Shift(S, 1, case.axis, periodic=False)
        return [
            np.array_equal(P(x), x + Q(x)),
            np.array_equal(shifted(P(x)), Q(x)),
            np.array_equal(P(shifted(x)), Q(x)),
        ]

    assert all(itertools.chain(*on_ranks(case.size, main)))


def test_prefixes_and_suffixes(ranks: int) -> None:
    """Rank i receives the sums of NumPy's cumsum; the adjoint, those from the other end."""

    def main(world: World) -> tuple[Any, ...]:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        P, Q = PrefixSum(S, "rows"), PrefixSum(S, "rows", exclusive=True)
        x = S.integers(5)
        return x, P(x), Q(x), P.H(x), Q.H(x)

    x, prefix, before, suffix, after = (np.array(found) for found in zip(*on_ranks(ranks, main), strict=True))
    np.testing.assert_array_equal(prefix, np.cumsum(x, axis=0))
    np.testing.assert_array_equal(before, np.cumsum(x, axis=0) - x)
    np.testing.assert_array_equal(suffix, np.cumsum(x[::-1], axis=0)[::-1])
    np.testing.assert_array_equal(after, np.cumsum(x[::-1], axis=0)[::-1] - x)


@pytest.mark.serial
@pytest.mark.parametrize("size", [5, 6, 7, 8, 9, 16, 17])
def test_on_more_ranks(size: int) -> None:
    """In ceil(log2(p)) rounds, in each of which no rank sends more than one message."""

    def main(world: World) -> tuple[float, float, int]:
        S = DistributedSpace(Grid(world, rows=size), (1,), rows=Copies())
        P, Q = PrefixSum(S, "rows"), PrefixSum(S, "rows", exclusive=True)
        x = np.array([float(world.rank**2)])
        before = world.traffic.messages
        found = P(x).item()
        messages = world.traffic.messages - before
        return found, Q(x).item(), messages

    squares = np.arange(size) ** 2.0
    expected = np.cumsum(squares)
    rounds = math.ceil(math.log2(size))
    for rank, found in enumerate(simulate(size, main)):
        messages = sum(rank + 2**k < size for k in range(rounds))
        assert found == (expected[rank], expected[rank] - squares[rank], messages)


def test_one_rank_has_no_one_before_it() -> None:
    """On an axis of one rank, the prefix sum is the identity, and the exclusive one is zero."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=1, cols=world.size), (4,), rows=Copies(), cols=Split(0))
        x = S.integers(0)
        assert PrefixSum(S, "rows") == Identity(S)
        np.testing.assert_array_equal(PrefixSum(S, "rows", exclusive=True)(x), Zero(S, S)(x))

    on_ranks(2, main)


def test_equality_and_printing(ranks: int) -> None:
    """Two prefix sums of one space are equal; it prints as its formula."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        P = PrefixSum(S, "rows")
        assert PrefixSum(S, "rows") == P
        assert P.H.H == P
        assert PrefixSum(S, "rows", exclusive=True) != P
        return str(P)

    first, second = "Identity + Shift(rows, 1, periodic=False)", "(Identity + Shift(rows, 2, periodic=False))"
    expected = {1: "Identity", 2: first, 3: f"{second} @ ({first})", 4: f"{second} @ ({first})"}
    assert on_ranks(ranks, main) == [expected[ranks]] * ranks


@pytest.mark.parametrize("library", [torch, array_api_strict])
def test_any_array_library(ranks: int, library: Any) -> None:
    """Arrays of torch and of the strict array API give what NumPy's give, and stay in their library."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (3, 2), rows=Copies())
        P = PrefixSum(S, "rows")
        x = S.integers(0, (2,))
        y = P(library.asarray(x))
        assert type(y) is type(library.asarray(x))
        np.testing.assert_array_equal(np.from_dlpack(y), P(x))

    on_ranks(ranks, main)


@pytest.mark.parametrize("role", [Split(0), At(0), Replicated()])
def test_other_roles_are_refused(ranks: int, role: Any) -> None:
    """Only copies are p vectors that can be added up; the error says what would be right, the same on all ranks."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6,), rows=role)
        with pytest.raises(SpaceError, match=r"PrefixSum\(.*expected Copies\(\) along 'rows'.*found") as caught:
            PrefixSum(S, "rows")
        assert str(S) in str(caught.value)
        assert repr(S.roles["rows"]) in str(caught.value)
        with pytest.raises(SpaceError, match=r"PrefixSum\(.*expected an axis of the grid, one of rows; found 'cols'"):
            PrefixSum(S, "cols")
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_that_disagree(ranks: int) -> None:
    """Inclusive here and exclusive there, or along another axis, is an error on all ranks, and none hangs."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks, cols=1), (6,), rows=Copies(), cols=Copies())
        odd = world.rank == 1
        messages = []
        for axis, exclusive in (("rows", odd), ("cols" if odd else "rows", False), ("none" if odd else "rows", False)):
            with pytest.raises(AgreementError, match="PrefixSum: the ranks disagree") as caught:
                PrefixSum(S, axis, exclusive=exclusive)
            messages.append(str(caught.value))
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


def test_what_is_no_space_is_refused() -> None:
    """The error names the operator, and what was found."""
    with pytest.raises(LinopError, match=r"PrefixSum.* to be a DistributedSpace, found None"):
        PrefixSum(None, "rows")  # type: ignore[arg-type]


# -- faults in the adjoint are found -----------------------------------------------------------------------------------

Fault = Callable[[LinearOperator, np.ndarray], np.ndarray]


def from_the_same_end(P: LinearOperator, y: np.ndarray) -> np.ndarray:
    """Sum prefixes where suffixes are due."""
    return np.asarray(P._apply(y))


def without_its_own(P: LinearOperator, y: np.ndarray) -> np.ndarray:
    """Leave out a rank's own, or count it, where it is the other way round."""
    return np.asarray(P.dual._apply(y) - y)


def without_the_last_round(P: LinearOperator, y: np.ndarray) -> np.ndarray:
    """Stop one round too early: right on two ranks fewer than it should be."""
    S: Any = P.domain
    return np.asarray((Identity(S) + Shift(S, -1, "rows", periodic=False))._apply(y))


def of_the_ring(P: LinearOperator, y: np.ndarray) -> np.ndarray:
    """Add what comes from around the ring."""
    S: Any = P.domain
    return np.asarray(
        P.dual._apply(y) + Shift(S, -1, "rows")._apply(y) - Shift(S, -1, "rows", periodic=False)._apply(y)
    )


@pytest.mark.parametrize("n", [4, 300], ids=["matrix", "exact"])
@pytest.mark.parametrize("fault", [from_the_same_end, without_its_own, without_the_last_round, of_the_ring])
@pytest.mark.parametrize("ranks", [3, 4], indirect=True)
def test_mutants_are_caught(ranks: int, fault: Fault, n: int) -> None:
    """A fault in the adjoint fails the check on all ranks; without it, it passes."""

    def main(world: World) -> tuple[bool, bool]:
        P = PrefixSum(DistributedSpace(Grid(world, rows=ranks), (n,), rows=Copies()), "rows")
        return bool(check_adjoint(mutant(P, fault))), bool(check_adjoint(mutant(P, lambda P, y: P.dual._apply(y))))

    assert on_ranks(ranks, main) == [(False, True)] * ranks
