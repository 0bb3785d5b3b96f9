"""Expressions of movements and local operators are fused: the same map, exactly, and no dearer."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distdl_ops.cost  # noqa: F401
from distdl_ops import (
    AllGather,
    At,
    Copies,
    DistributedSpace,
    Grid,
    HaloExchange,
    Local,
    Movement,
    Replicated,
    Split,
    World,
)
from distdl_ops.multiplicity import multiplicity
from distdl_ops.rules import two_movements
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from linop import Diagonal, Euclidean, Identity, LinearOperator, check_claims, cost, matrix, simplify


@st.composite
def worlds_and_layouts(draw: st.DrawFn, count: int) -> tuple[int, tuple[Draft, ...]]:
    size = draw(world_sizes())
    return size, draw(drafts_of_one_tensor(size, count))


@given(worlds_and_layouts(1))
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


@given(worlds_and_layouts(3))
def test_two_movements_are_one(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """Whatever lies between, two movements are one, and a number or a diagonal: the same map bit by bit."""
    size, layouts = drawn

    def main(world: World) -> tuple[bool, bool]:
        R, S, T = (layout.on(world) for layout in layouts)
        A, B = Movement(S, T) @ Movement(R, S), two_movements(Movement(S, T), Movement(R, S))
        return np.array_equal(matrix(A), matrix(B)), np.array_equal(matrix(A.H), matrix(B.H))

    assert on_ranks(size, main) == [(True, True)] * size


@given(worlds_and_layouts(4))
def test_chains_are_simplified(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """A chain of three becomes the same map, adjoint included; never a dearer one; once is enough."""
    size, layouts = drawn

    def main(world: World) -> tuple[Any, ...]:
        R, S, T, U = (layout.on(world) for layout in layouts)
        A = Movement(T, U) @ Movement(S, T) @ Movement(R, S)
        B = simplify(A)
        same = np.array_equal(matrix(A), matrix(B)) and np.array_equal(matrix(A.H), matrix(B.H))
        form = re.sub(r"Local\(\w+(\(\[.*?\]\))?\)", "Local", str(B))  # ranks have operators of their own there
        return same, bool(cost(B) <= cost(A)), simplify(B) == B, form

    everyone = on_ranks(size, main)
    assert len(set(everyone)) == 1, "all ranks decide alike"
    assert everyone[0][:3] == (True, True, True), everyone[0]


@given(worlds_and_layouts(2))
def test_movements_claim_what_holds(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """Isometries, symmetry and gains are told from the layouts."""
    size, (s, t) = drawn

    def main(world: World) -> list[str]:
        S, T = s.on(world), t.on(world)
        return [str(r) for A in (Movement(S, T), Movement(S, S)) for r in check_claims(A) if not r]

    assert on_ranks(size, main) == [[]] * size


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
            "Repartition(p) @ Repartition(p)",
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
            "HaloExchange(p) @ Repartition(p)",
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

    for text, identity in on_ranks(ranks, main):
        assert text.startswith("Local(Diagonal")
        assert identity
