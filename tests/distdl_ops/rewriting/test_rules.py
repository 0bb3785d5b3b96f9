"""Expressions of movements and local operators are fused: the same map, exactly, and no dearer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from distdl_ops import (
    AllGather,
    At,
    Copies,
    DistributedSpace,
    Finish,
    Grid,
    HaloExchange,
    Local,
    Movement,
    Replicated,
    Role,
    Shift,
    Split,
    Start,
    World,
    simulate,
)
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.rewriting.movements import other_axes, two_movements
from distdl_ops.testing import Draft, Tree, on_ranks, worlds_and_drafts, worlds_and_trees
from linop import (
    Compose,
    Diagonal,
    Euclidean,
    Identity,
    LinearOperator,
    check_claims,
    cost,
    derivation,
    matrix,
    parts,
    simplify,
)
from linop.rewriting.engine import _rules
from linop.show.tree import heading


def form(A: LinearOperator) -> str:
    """Return an expression in words that are the same on all ranks: each has an operator of its own in a Local."""
    inside = parts(A)
    if inside:
        return f"{heading(A)}({', '.join(map(form, inside))})"
    return "Local" if isinstance(A, Local) else str(A)


@given(worlds_and_drafts(1))
def test_multiplicity_is_the_diagonal(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """E* E, from the definition of the embedding, is diagonal; multiplicity has the diagonal."""
    size, (draft,) = drawn
    E = draft.embedding()

    def main(world: World) -> tuple[np.ndarray, int | None]:
        found = multiplicity(draft.on(world).layout)
        return found.tensor(), found.constant

    for tensor, constant in on_ranks(size, main):
        np.testing.assert_array_equal(np.diag(tensor.ravel()), E.T @ E)
        values = set(tensor.ravel().tolist())
        assert (constant is not None) == (len(values) <= 1)
        assert constant is None or not values or values == {constant}


def test_what_nobody_holds_is_constant() -> None:
    """Entries that no rank holds along one axis are held zero times, however often they are along another."""
    layout = Layout({"p": 1, "q": 2}, (1, 2), {"p": Split(0, [(0, 0)], gaps=True), "q": Split(1, [(0, 2), (1, 3)])})
    assert multiplicity(layout).constant == 0


@given(worlds_and_drafts(3))
def test_two_movements_are_one(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """Whatever lies between, two movements are one, and a number or a diagonal: the same map bit by bit."""
    size, layouts = drawn

    def main(world: World) -> tuple[bool, bool]:
        R, S, T = (layout.on(world) for layout in layouts)
        A, B = Movement(S, T) @ Movement(R, S), two_movements(Movement(S, T), Movement(R, S))
        return np.array_equal(matrix(A), matrix(B)), np.array_equal(matrix(A.H), matrix(B.H))

    assert on_ranks(size, main) == [(True, True)] * size


def require_simplified(size: int, make: Callable[[World], LinearOperator]) -> None:
    """Require the same map exactly, adjoint included; never a dearer one; once is enough; all ranks decide alike."""

    def main(world: World) -> tuple[Any, ...]:
        A = make(world)
        B = simplify(A)
        same = np.array_equal(matrix(A), matrix(B)) and np.array_equal(matrix(A.H), matrix(B.H))
        return same, bool(cost(B) <= cost(A)), simplify(B) == B, form(B)

    everyone = on_ranks(size, main)
    assert len(set(everyone)) == 1, "all ranks decide alike"
    assert everyone[0][:3] == (True, True, True), everyone[0]


@given(worlds_and_drafts(4))
def test_chains_are_simplified(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """A chain of three becomes the same map, adjoint included; never a dearer one; once is enough."""
    size, layouts = drawn

    def chain(world: World) -> LinearOperator:
        R, S, T, U = (layout.on(world) for layout in layouts)
        return Movement(T, U) @ Movement(S, T) @ Movement(R, S)

    require_simplified(size, chain)


@given(worlds_and_drafts(2))
def test_movements_claim_what_holds(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """Isometries, symmetry and gains are told from the layouts."""
    size, (s, t) = drawn

    def main(world: World) -> list[str]:
        S, T = s.on(world), t.on(world)
        return [str(r) for A in (Movement(S, T), Movement(S, S)) for r in check_claims(A) if not r]

    assert on_ranks(size, main) == [[]] * size


@given(worlds_and_trees())
def test_expressions_are_simplified(drawn: tuple[int, Tree]) -> None:
    """A random expression becomes the same map exactly, adjoint included; never a dearer one; once is enough."""
    size, tree = drawn
    require_simplified(size, tree.on)


def worked(make: Any) -> tuple[str, str]:
    """Return an expression and its simplification in words."""

    def main(world: World) -> tuple[str, str]:
        S = DistributedSpace(Grid(world, p=world.size), (6, 2), p=Split(0))
        A: LinearOperator = make(S)
        B = simplify(A)
        assert np.array_equal(matrix(A), matrix(B))
        assert cost(B) < cost(A)
        return str(A), str(B)

    return on_ranks(3, main)[0]


@pytest.mark.parametrize(
    ("make", "before", "after"),
    [
        (
            lambda S: (C := S.with_roles(p=Copies())) and Movement(C, C) @ Movement(C, C),
            "AllSumReduce(p) @ AllSumReduce(p)",
            "3 * AllSumReduce(p)",
        ),
        (
            lambda S: Movement(S.with_roles(p=Split(1)), S) @ Movement(S, S.with_roles(p=Split(1))),
            "AllToAll(p) @ AllToAll(p)",
            "Identity",
        ),
        (
            lambda S: Movement(S.with_roles(p=At(0)), S) @ Movement(S, S.with_roles(p=At(0))),
            "Scatter(p) @ Gather(p)",
            "Identity",
        ),
        (
            lambda S: Movement(S, S.with_roles(p=Copies())) @ Movement(S.with_roles(p=Copies()), S),
            "AllGather(p) @ ReduceScatter(p)",
            "AllSumReduce(p)",
        ),
        (
            lambda S: HaloExchange(S, {0: (1, 1)}) @ Movement(S.with_roles(p=Split(1)), S),
            "HaloExchange(p) @ AllToAll(p)",
            "HaloExchange(p)",
        ),
        (
            lambda S: HaloExchange(S, {0: (1, 1)}).H @ HaloExchange(S, {0: (1, 1)}),
            "HaloExchange(p).H @ HaloExchange(p)",
            "Local(Diagonal)",
        ),
        (
            lambda S: AllGather(S, S.with_roles(p=Replicated())).H @ AllGather(S, S.with_roles(p=Replicated())),
            "Slice(p) @ AllGather(p)",
            "Identity",
        ),
    ],
)
def test_worked_examples(ranks: int, make: Any, before: str, after: str) -> None:
    """All-reduce twice is one, times p; there and back is nothing; H* H is a diagonal that sends nothing."""
    if ranks == 3:
        assert worked(make) == (before, after)


def test_local_operators_meet(ranks: int) -> None:
    """What ranks do one after the other is one local operator; identities vanish."""

    def main(world: World) -> tuple[str, bool]:
        S = DistributedSpace(Grid(world, p=world.size), (6,), p=Split(0))
        X = Euclidean(S.shape)
        D = Local(S, S, Diagonal(np.full(S.shape, 2.0), X))
        E = Local(S, S, Diagonal(np.full(S.shape, 0.5), X))
        return str(simplify(D @ D)), simplify(E @ D) == Identity(S)

    assert on_ranks(ranks, main) == [("4 * Identity", True)] * ranks


def rewritten(ranks: int, make: Any) -> list[tuple[str, str, list[str]]]:
    """Return an expression, its simplification, and the rules on the way, of each rank; the two are the same map."""

    def main(world: World) -> tuple[str, str, list[str]]:
        A: LinearOperator = make(world)
        B, steps = derivation(A)
        assert np.array_equal(matrix(A), matrix(B))
        assert np.array_equal(matrix(A.H), matrix(B.H))
        assert cost(B) <= cost(A)
        return form(A), form(B), [step.rule.__name__ for step in steps]

    return on_ranks(ranks, main)


def line(world: World, role: Role, shape: tuple[int, ...] = (12, 12)) -> DistributedSpace:
    return DistributedSpace(Grid(world, p=world.size), shape, p=role)


def multiplied(S: DistributedSpace, own: bool = False) -> Local:
    """Return the multiplication by a tensor, or by numbers of each rank's own."""
    tensor = np.arange(1.0, 1.0 + np.prod(S.global_shape)).reshape(S.global_shape)
    entries = S.from_global(tensor) + (S.grid.world.rank if own else 0)
    return Local(S, S, Diagonal(entries, Euclidean(S.shape)))


def test_a_diagonal_gets_out_of_the_way(ranks: int) -> None:
    """A tensor's diagonal lets movements meet; of copies, only where all of them are multiplied alike."""

    def product(world: World) -> LinearOperator:
        S, T = line(world, Split(0)), line(world, Split(1))
        return Movement(T, S) @ multiplied(T) @ Movement(S, T)

    for _, after, rules in rewritten(ranks, product):
        assert after == "Local"
        assert "diagonal_out_of_the_way" in rules

    def make(own: bool) -> Any:
        def product(world: World) -> LinearOperator:
            C, S = line(world, Copies()), line(world, Split(0))
            return Movement(C, S) @ multiplied(C, own) @ Movement(S, C)

        return product

    for _, after, _ in rewritten(ranks, make(own=False)):
        assert after == "Local"
    for _, after, rules in rewritten(ranks, make(own=True)):
        if ranks > 1:
            assert (after, rules) == ("Compose(ReduceScatter(p), Local, AllGather(p))", [])


def test_a_halo_there_and_back_is_a_diagonal_of_any_size(ranks: int) -> None:
    """What a message takes does not decide: to multiply is less than to copy twice."""

    def main(world: World) -> str:
        H = HaloExchange(line(world, Split(0), (400, 1000)), {0: (1, 1)})
        return form(simplify(H.H @ H))

    assert on_ranks(ranks, main) == ["Identity" if ranks == 1 else "Local"] * ranks


def test_a_diagonal_goes_to_the_smaller_side(ranks: int) -> None:
    """What is gathered is multiplied before, what is scattered after: each rank has less to do."""
    if ranks == 1:
        return

    def gathered(world: World) -> LinearOperator:
        S, R = line(world, Split(0)), line(world, Replicated())
        return multiplied(R) @ Movement(S, R)

    def scattered(world: World) -> LinearOperator:
        S, R = line(world, Split(0)), line(world, At(0))
        return Movement(R, S) @ multiplied(R)

    for _, after, rules in rewritten(ranks, gathered):
        assert after == "Compose(AllGather(p), Local)"
        assert "diagonal_before" in rules
    for _, after, rules in rewritten(ranks, scattered):
        assert after == "Compose(Local, Scatter(p))"
        assert "diagonal_after" in rules


def test_a_diagonal_between_halos_must_agree_where_they_overlap(ranks: int) -> None:
    """Of overlapping intervals, only the entries that lie in the tensor are compared."""

    def make(own: bool) -> Any:
        def product(world: World) -> LinearOperator:
            S = line(world, Split(0), (8,))
            H = HaloExchange(S, {0: (1, 1)})
            T = H.codomain
            beyond = T.from_global(np.zeros(8)) if own else T.from_global(np.ones(8))
            D = Local(T, T, Diagonal(T.from_global(np.arange(8.0)) + (1 - beyond) * 7, Euclidean(T.shape)))
            return Movement(T, S) @ D @ H

        return product

    for _, after, _ in rewritten(ranks, make(own=False)):
        assert after == "Local" or ranks > 1  # a halo between is no number: nothing meets
    rewritten(ranks, make(own=True))


@pytest.mark.serial
def test_movements_along_other_axes_commute() -> None:
    """Between two movements along one axis, one along another gets out of the way, and they meet."""

    def main(world: World) -> tuple[str, str, bool]:
        S = DistributedSpace(Grid(world, rows=2, cols=2), (8, 8), rows=Split(0), cols=At(0))
        T = S.with_roles(rows=At(1))
        U = T.with_roles(cols=Replicated())
        A = Movement(U, U.with_roles(rows=Split(0))) @ Movement(T, U) @ Movement(S, T)
        met = other_axes(A)
        assert met is not None
        x = A.domain.integers(3)
        V = A.codomain.with_roles(cols=Copies())  # does not commute: two movements act along its axis
        B = Movement(V, A.codomain) @ Movement(A.codomain, V) @ A
        assert isinstance(B, Compose)
        assert other_axes(B) is None or np.array_equal(B(x), other_axes(B)(x))
        return form(simplify(A)), form(met), np.array_equal(A(x), met(x)) and cost(met) < cost(A)

    assert simulate(4, main) == [("Broadcast(cols)", "Broadcast(cols)", True)] * 4


@pytest.mark.serial
def test_movements_that_do_not_commute_stay() -> None:
    """Where an axis is shared, or a tensor axis would be split twice, three movements stay in their order."""

    def main(world: World) -> list[LinearOperator | None]:
        S = DistributedSpace(Grid(world, rows=2, cols=2), (8, 8), rows=At(0), cols=Split(0))
        C, R = S.with_roles(cols=Copies()), S.with_roles(rows=Split(0), cols=Copies())
        twice = Movement(R, R.with_roles(cols=Split(1))) @ Movement(C, R) @ Movement(S, C)
        T = S.with_roles(rows=At(1), cols=Split(1))
        U = S.with_roles(cols=Split(1))
        shared = Movement(T, T.with_roles(cols=Split(0))) @ Movement(C, T) @ Movement(U, C)
        return [other_axes(twice), other_axes(shared)]

    assert simulate(4, main) == [[None, None]] * 4


def test_sums_of_local_operators_are_one(ranks: int) -> None:
    """Multiples of local operators, and of the identity, are one local operator."""

    def make(world: World) -> LinearOperator:
        S = line(world, Split(0), (6,))
        return 2 * multiplied(S) - Identity(S) + 3 * multiplied(S, own=True)

    for _, after, _ in rewritten(ranks, make):
        assert after == "Local"


def test_without_work_between_start_and_finish_are_a_movement(ranks: int) -> None:
    """What starts and finishes at once is the movement, and simpler as it is."""

    def main(world: World) -> bool:
        S, T = line(world, Split(0)), line(world, Split(1))
        return simplify(Finish(S, T) @ Start(S, T)) == simplify(Movement(S, T))

    assert on_ranks(ranks, main) == [True] * ranks


def test_shifts_add_up(ranks: int) -> None:
    """Shifts along a ring add up, and once around is nothing; on a line, only those that go the same way."""

    def ring(world: World) -> LinearOperator:
        S = line(world, Copies(), (3,))
        return Shift(S, 1, "p") @ Shift(S, world.size - 2, "p") @ Shift(S, 1, "p")

    def forth(world: World) -> LinearOperator:
        S = line(world, Copies(), (3,))
        return Shift(S, 1, "p", periodic=False) @ Shift(S, 1, "p", periodic=False)

    def back(world: World) -> LinearOperator:
        S = line(world, Copies(), (3,))
        return Shift(S, -1, "p", periodic=False) @ Shift(S, 1, "p", periodic=False)

    assert {after for _, after, _ in rewritten(ranks, ring)} == {"Identity"}
    assert {after for _, after, _ in rewritten(ranks, forth)} == {"Shift(p, 2, periodic=False)"}
    assert {after.count("Shift") for _, after, _ in rewritten(ranks, back)} == {2}


def test_numbers_come_to_the_front(ranks: int) -> None:
    """Where every rank multiplies by the same number, it joins the others; where they differ, it stays."""

    def same(world: World) -> LinearOperator:
        S, C = line(world, Split(0)), line(world, Copies())
        two = Local(S, S, 2 * Identity(Euclidean(S.shape)))
        return Movement(S, C) @ two @ (3 * Movement(C, S))

    def other(world: World) -> LinearOperator:
        S = line(world, Split(0))
        return Local(S, S, (1 + world.rank) * Identity(Euclidean(S.shape)))

    for _, after, _ in rewritten(ranks, same):
        assert after == "6 *(AllSumReduce(p))" or (ranks == 1 and after == "6 *(Identity)")
    for _, after, _ in rewritten(ranks, other):
        assert after == ("Identity" if ranks == 1 else "Local")


def test_real_spaces_of_complex_arrays(ranks: int) -> None:
    """Where real and imaginary parts are coordinates of their own, diagonals stay where they are."""

    def make(world: World) -> LinearOperator:
        S = DistributedSpace(Grid(world, p=world.size), (4, 4), "complex128", "real", p=Split(0))
        T = S.with_roles(p=Split(1))
        entries = T.from_global(np.arange(16.0).reshape(4, 4))
        D = Local(T, T, Diagonal(entries, Euclidean(T.shape, "complex128", "real")))
        return Movement(T, S) @ D @ Movement(S, T)

    for _, after, _ in rewritten(ranks, make):
        assert after == "Compose(AllToAll(p), Local, AllToAll(p))"


def test_every_rule_has_its_proof() -> None:
    """The docstring of a rule says why the two are the same, in a line."""
    ours = {function for functions in _rules.values() for function in functions if "ops" in function.__module__}
    assert len(ours) > 15
    for function in ours:
        assert function.__doc__
        assert "\n" not in function.__doc__.strip()


def test_importing_the_package_registers_the_rules() -> None:
    """Whoever has a movement has its rules."""
    assert two_movements in _rules[Movement, Movement]
