"""Shift: every rank of a grid axis gives its array to the rank some steps on."""

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
    DistributedSpace,
    Grid,
    Movement,
    Replicated,
    Shift,
    Split,
    World,
)
from distdl_ops.grid import coordinates_of, place_at
from distdl_ops.layouts.layout import Layout
from distdl_ops.testing import Draft, drafts, grids, mutant, on_ranks, world_sizes
from linop import Identity, LinearOperator, LinopError, check, check_adjoint, claims, matrix
from linop.testing import DTYPES


@dataclass(frozen=True)
class Case:
    """A shift of a space on a number of ranks."""

    size: int
    space: Draft
    steps: int
    axis: str
    periodic: bool

    def on(self, world: World) -> Shift:
        """Return the operator on a world."""
        return Shift(self.space.on(world), self.steps, self.axis, self.periodic)

    def oracle(self) -> np.ndarray:
        """Return its matrix: an identity where the array of one rank becomes that of another, block by block."""
        layout = Layout(self.space.axes, self.space.shape, self.space.roles)
        counted = layout.counted_ranks()
        length = layout.axes[self.axis]
        sizes = {rank: int(np.prod(layout.shape_at(rank), dtype=int)) for rank in range(layout.ranks)}

        def on(rank: int, steps: int) -> int:
            here = coordinates_of(layout.axes, rank)
            assert here is not None
            return place_at(layout.axes, {**here, self.axis: (here[self.axis] + steps) % length})

        columns = np.cumsum([0, *(sizes[rank] for rank in counted)])
        rows = np.cumsum([0, *(sizes[on(rank, -self.steps)] for rank in counted)])
        found = np.zeros((rows[-1], columns[-1]))
        for k, rank in enumerate(counted):
            place = (coordinates_of(layout.axes, rank) or {})[self.axis]
            if self.periodic or 0 <= place + self.steps < length:
                goal = counted.index(on(rank, self.steps))
                found[rows[goal] : rows[goal + 1], columns[k] : columns[k + 1]] = np.eye(sizes[rank])
        return found


@st.composite
def shifts(draw: st.DrawFn, *, once: bool = False) -> Case:
    """Draw any space that is not replicated along an axis, or holds each entry once, and any number of steps."""
    size = draw(world_sizes())
    axes = draw(grids(size))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=len(axes), max_size=3)))
    kinds = (At, Split) if once else (At, Split, Copies, Replicated)
    found = draw(drafts(axes, shape, draw(st.sampled_from(DTYPES)), roles=kinds, once=once))
    axis = draw(st.sampled_from(sorted(axes)))
    roles = {name: Copies() if (name, role) == (axis, Replicated()) else role for name, role in found.roles.items()}
    return Case(size, Draft(axes, shape, found.dtype, roles), draw(st.integers(-6, 6)), axis, draw(st.booleans()))


@given(shifts())
def test_every_array_goes_to_one_other_rank(case: Case) -> None:
    """The matrix is a permutation of blocks, the adjoint's the transpose; uneven and overlapping parts travel whole."""
    oracle = case.oracle()

    def main(world: World) -> tuple[np.ndarray, np.ndarray]:
        Z = case.on(world)
        return matrix(Z), matrix(Z.H)

    for forward, backward in on_ranks(case.size, main):
        np.testing.assert_array_equal(forward, oracle)
        np.testing.assert_array_equal(backward, oracle.T)


@settings(max_examples=settings().max_examples // 3)  # the checks apply the operator many times
@given(shifts())
def test_all_checks_pass(case: Case) -> None:
    """Adjoint, linearity, purity, batches, and every claim: exact, with a gain of one, unitary on a ring."""

    def main(world: World) -> tuple[str, bool, bool]:
        Z = case.on(world)
        reports = check(Z)
        unitary = Z.claims >= claims.UNITARY
        return str(reports) if not reports else "", unitary, Z.exact and Z.gain == 1 and Z.roundings == 0

    for failed, unitary, known in on_ranks(case.size, main):
        assert failed == ""
        assert unitary == (case.periodic or case.steps == 0)
        assert known


@given(shifts())
def test_the_adjoint_is_the_shift_the_other_way(case: Case) -> None:
    """As an operator, not only in its numbers: from the codomain, by minus the steps, back to the domain."""

    def main(world: World) -> list[bool]:
        Z = case.on(world)
        back = Shift(Z.codomain, -case.steps, case.axis, case.periodic)
        return [back == Z.H, Z.H.H == Z, hash(Z.H) == hash(back), back.codomain == Z.domain, str(back) == str(Z.H)]

    assert all(itertools.chain(*on_ranks(case.size, main)))


@given(shifts())
def test_a_partial_isometry(case: Case) -> None:
    """Z Z* Z = Z; on a ring Z* Z = I and Z Z* = I."""

    def main(world: World) -> list[bool]:
        Z = case.on(world)
        x, y = Z.domain.integers(0, (2,)), Z.codomain.integers(1, (2,))
        whole = not case.periodic or (np.array_equal(Z.H(Z(x)), x) and np.array_equal(Z(Z.H(y)), y))
        return [np.array_equal(Z(Z.H(Z(x))), Z(x)), whole]

    assert all(itertools.chain(*on_ranks(case.size, main)))


@given(shifts(), st.integers(-6, 6))
def test_steps_add_up(case: Case, more: int) -> None:
    """On a ring, one shift after another is one shift; the codomains of the two ways are the same space."""

    def main(world: World) -> bool:
        S = case.space.on(world)
        first = Shift(S, case.steps, case.axis)
        second, both = Shift(first.codomain, more, case.axis), Shift(S, case.steps + more, case.axis)
        x = S.integers(0)
        return second.codomain == both.codomain and np.array_equal((second @ first)(x), both(x))

    assert all(on_ranks(case.size, main))


@given(shifts())
def test_once_around_the_ring(case: Case) -> None:
    """As many shifts by one as the axis is long lead back to the same space, and are the identity."""

    def main(world: World) -> bool:
        S = case.space.on(world)
        around: LinearOperator = Identity(S)
        for _ in range(case.space.axes[case.axis]):
            around = Shift(around.codomain, 1, case.axis) @ around  # type: ignore[arg-type]
        x = S.integers(0)
        return around.codomain == S and np.array_equal(around(x), x)

    assert all(on_ranks(case.size, main))


@given(shifts(once=True))
def test_where_each_entry_is_held_once_it_is_the_repartition(case: Case) -> None:
    """Without overlap and copies, the ring shift is E_T E_S*."""

    def main(world: World) -> tuple[np.ndarray, np.ndarray]:
        S = case.space.on(world)
        Z = Shift(S, case.steps, case.axis)
        return matrix(Z), matrix(Movement(S, Z.codomain))

    for found, movement in on_ranks(case.size, main):
        np.testing.assert_array_equal(found, movement)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
@pytest.mark.parametrize("role", ["copies", "halo"])
def test_what_is_held_twice_is_not_added_up(ranks: int, role: str) -> None:
    """Copies stay vectors of their own, and of overlapping intervals each keeps its own entries; a movement adds."""

    def main(world: World) -> tuple[list[float], list[float], float, float]:
        n = 2 * ranks
        overlapping = Split(0, [(2 * k, min(2 * k + 3, n)) for k in range(ranks)])
        S = DistributedSpace(Grid(world, rows=ranks), (n,), rows=Copies() if role == "copies" else overlapping)
        Z = Shift(S, 1, "rows")
        x = np.full(S.shape, world.rank + 1.0)
        return x.tolist(), Z(x).tolist(), Z(x).sum(), Movement(S, Z.codomain)(x).sum()

    results = on_ranks(ranks, main)
    assert all(results[rank][1] == results[rank - 1][0] for rank in range(ranks))
    assert sum(plain for *_, plain, _ in results) < sum(added for *_, added in results)


def test_uneven_parts_travel(ranks: int) -> None:
    """Rank i + 1 receives the interval of rank i, and its entries; off the ring the first receives zeros."""

    def main(world: World) -> tuple[list[list[float]], list[list[float]], list[tuple[int, int]]]:
        S = DistributedSpace(Grid(world, rows=ranks), (ranks + 1,), rows=Split(0))
        x = S.from_global(np.arange(1.0, ranks + 2))
        ring, line = (Shift(S, 1, "rows", periodic) for periodic in (True, False))
        assert ring.codomain == line.codomain
        return [x.tolist(), ring(x).tolist()], [line(x).tolist()], list(ring.codomain.roles["rows"].intervals)  # type: ignore[attr-defined]

    results = on_ranks(ranks, main)
    for rank, ((_, ring), (line,), intervals) in enumerate(results):
        before = results[rank - 1][0][0]
        assert ring == before
        assert line == (before if rank > 0 else [0.0] * len(before))
        assert intervals[rank] == (before[0] - 1, before[-1])


def test_what_leaves_the_axis_is_lost(ranks: int) -> None:
    """As many steps as the axis is long leave zeros on all ranks, and come from nowhere in the adjoint."""

    def main(world: World) -> None:
        for role in (Split(0), Copies(), At(0)):
            S = DistributedSpace(Grid(world, rows=ranks), (5, 2), rows=role)
            for steps in (ranks, -ranks, 17):
                Z = Shift(S, steps, "rows", periodic=False)
                assert not Z(S.integers(0)).any()
                assert not Z.H(Z.codomain.integers(0)).any()
                assert Z.claims == claims.NONE

    on_ranks(ranks, main)


def test_a_message_a_rank(ranks: int) -> None:
    """Each rank sends its array once; an empty one not at all, nor to itself; the adjoint is made in silence."""

    def main(world: World) -> list[tuple[int, int]]:
        S = DistributedSpace(Grid(world, rows=ranks), (ranks - 1, 5), rows=Split(0))
        found = []
        for steps, periodic in ((1, True), (1, False), (ranks, True), (0, False), (ranks, False)):
            Z = Shift(S, steps, "rows", periodic)
            before = world.traffic.messages, world.traffic.bytes
            Z._apply(S.integers(0))
            found.append((world.traffic.messages - before[0], world.traffic.bytes - before[1]))
        if world.rank == 0:
            assert Z.dual.dual == Z
        return found

    for rank, found in enumerate(on_ranks(ranks, main)):
        holds = int(rank < ranks - 1)
        assert found == [(holds, 40 * holds)] * 2 + [(0, 0)] * 3


@pytest.mark.parametrize("library", [torch, array_api_strict])
def test_any_array_library(ranks: int, library: Any) -> None:
    """Arrays of torch and of the strict array API are given on as NumPy's are, and stay in their library."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (5, 2), rows=Split(0))
        for periodic in (True, False):
            Z = Shift(S, 1, "rows", periodic)
            x = S.integers(0, (2,))
            y = Z(library.asarray(x))
            assert type(y) is type(library.asarray(x))
            np.testing.assert_array_equal(np.from_dlpack(y), Z(x))

    on_ranks(ranks, main)


def test_equality_and_printing(ranks: int) -> None:
    """On a ring steps count modulo its length; off it they do not. Axis, space and ring are part of what it is."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks, cols=1), (4,), rows=Copies(), cols=Split(0))
        assert Shift(S, 1, "rows") == Shift(S, 1 - ranks, "rows")
        assert hash(Shift(S, 1, "rows")) == hash(Shift(S, 1 - ranks, "rows"))
        assert Shift(S, 1, "rows", False) != Shift(S, 1 - ranks, "rows", False)
        assert Shift(S, 1, "rows") != Shift(S, 1, "rows", False)
        assert Shift(S, 0, "rows") != Shift(S, 0, "cols")
        assert Shift(S, 0, "rows") != Shift(S.with_roles(rows=At(0)), 0, "rows")
        assert (Shift(S, 1, "rows") == Shift(S, 1, "rows").H) == (ranks <= 2)
        assert (claims.SELF_ADJOINT in Shift(S, 1, "rows").claims) == (ranks <= 2)
        assert str(Shift(S, 3, "rows")) == "Shift(rows, 3)"
        assert str(Shift(S, 3, "rows", False).H) == "Shift(rows, -3, periodic=False)"

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("steps", "axis", "expected"),
    [
        (1, "stages", "expected an axis of the grid, one of rows, cols; found 'stages'"),
        (1, "cols", "expected Copies, Split or At along 'cols', found Replicated()"),
    ],
)
def test_shifts_that_do_not_exist_are_refused(ranks: int, steps: Any, axis: Any, expected: str) -> None:
    """The error names the operator, the space, what was expected and what was found; the same on all ranks."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks, cols=1), (6,), rows=Split(0), cols=Replicated())
        with pytest.raises(LinopError) as caught:
            Shift(S, steps, axis)
        assert str(S) in str(caught.value)
        return str(caught.value)

    first, *others = on_ranks(ranks, main)
    assert all(other == first for other in others)
    assert first.startswith("Shift(")
    assert expected in first


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_that_disagree(ranks: int) -> None:
    """Other steps, axes or ends on one rank are an error on all, and none hangs."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks, cols=1), (6,), rows=Split(0), cols=Copies())
        odd = world.rank == 1
        messages = []
        for steps, axis, periodic in (
            (2 if odd else 1, "rows", True),
            (1, "cols" if odd else "rows", True),
            (1, "rows", odd),
        ):
            with pytest.raises(AgreementError, match="Shift: the ranks disagree") as caught:
                Shift(S, steps, axis, periodic)
            messages.append(str(caught.value))
        with pytest.raises(LinopError, match=r"expected steps to be a whole number, found 0.5"):
            Shift(S, 0.5 if odd else 1, "rows")  # type: ignore[arg-type]
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


def test_what_is_no_space_is_refused() -> None:
    """The error names the operator, and what was found."""
    with pytest.raises(LinopError, match=r"Shift.* to be a DistributedSpace, found None"):
        Shift(None, 1, "rows")  # type: ignore[arg-type]


# -- faults in the adjoint are found -----------------------------------------------------------------------------------


def onward(Z: Shift, y: np.ndarray) -> np.ndarray:
    """Go on, not back."""
    return np.asarray(Z._apply(y))


def unmoved(Z: Shift, y: np.ndarray) -> np.ndarray:
    """Stay."""
    return y.copy()


def around(Z: Shift, y: np.ndarray) -> np.ndarray:
    """Take an axis with two ends for a ring, and the other way round."""
    return np.asarray(Shift(Z.codomain, -Z.steps, Z.axis, not Z.periodic)._apply(y))


def one_too_far(Z: Shift, y: np.ndarray) -> np.ndarray:
    """Count one too many."""
    return np.asarray(Shift(Z.codomain, -Z.steps - 1, Z.axis, Z.periodic)._apply(y))


def conjugated(Z: Shift, y: np.ndarray) -> np.ndarray:
    """Conjugate where nothing should."""
    return np.asarray(Z._apply_dual(y).conj())


def added(Z: Shift, y: np.ndarray) -> np.ndarray:
    """Take what comes for a part of a sum."""
    return np.asarray(y + Z._apply_dual(y))


@pytest.mark.parametrize("n", [4, 300], ids=["matrix", "exact"])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("fault", [onward, unmoved, around, one_too_far, conjugated, added])
@pytest.mark.parametrize("ranks", [3, 4], indirect=True)
def test_mutants_are_caught(
    ranks: int, fault: Callable[[Shift, np.ndarray], np.ndarray], periodic: bool, n: int
) -> None:
    """A fault in the adjoint, of a small shift or a large one, fails the check on all ranks; without it, it passes."""

    def main(world: World) -> tuple[bool, bool]:
        Z = Shift(DistributedSpace(Grid(world, rows=ranks), (n,), complex, rows=Copies()), 1, "rows", periodic)
        return bool(check_adjoint(mutant(Z, fault))), bool(check_adjoint(mutant(Z, lambda Z, y: Z._apply_dual(y))))

    assert on_ranks(ranks, main) == [(False, True)] * ranks
