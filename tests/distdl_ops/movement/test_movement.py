"""Every movement between two layouts is ``E_T E_S*``, and behaves as an operator should."""

import copy
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import AgreementError, At, Copies, DistributedSpace, Grid, Movement, Replicated, Split, World, balanced
from distdl_ops.movement.movement import movement_between
from distdl_ops.testing import (
    Draft,
    drafts,
    drafts_of_one_tensor,
    grids,
    on_ranks,
    world_sizes,
    worlds_and_drafts,
)
from distdl_ops.transfer.collective import collective
from distdl_ops.transfer.plan import Plan
from linop import SpaceError, check_adjoint, matrix
from linop.testing import awkward_arrays


@given(worlds_and_drafts(largest=9))
def test_matrix_is_the_dense_oracle(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """The matrix of M(S, T) is E_T E_S*, built from the definition; its adjoint's is the transpose."""
    size, (s, t) = drawn
    oracle = t.embedding() @ s.embedding().T

    def main(world: World) -> tuple[np.ndarray, np.ndarray, bool]:
        S, T = s.on(world), t.on(world)
        A = Movement(S, T)
        return matrix(A), matrix(A.H), Movement(T, S) == A.H and A.H.H == A

    for forward, backward, mirrored in on_ranks(size, main):
        np.testing.assert_array_equal(forward, oracle)
        np.testing.assert_array_equal(backward, oracle.T)
        assert mirrored


@given(worlds_and_drafts(largest=9))
def test_adjoint_is_exact(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """dot(A x, y) == dot(x, A* y) with ==, by matrices and by integer vectors, and replicas agree bit by bit."""
    size, (s, t) = drawn

    def main(world: World) -> list[str]:
        A = Movement(s.on(world), t.on(world))
        return [str(r) for mode in ("matrix", "exact") if not (r := check_adjoint(A, mode=mode))]

    assert on_ranks(size, main) == [[]] * size


@given(worlds_and_drafts(largest=9))
def test_the_gain_is_the_norm(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """No less, for checks would raise false alarms; and no more, for they would let errors pass."""
    size, (s, t) = drawn
    oracle = t.embedding() @ s.embedding().T
    norm = np.linalg.svd(oracle, compute_uv=False).max(initial=0.0)
    for gain in on_ranks(size, lambda world: Movement(s.on(world), t.on(world)).gain):
        assert abs(gain - norm) <= sum(oracle.shape) * np.finfo(float).eps * norm


@given(worlds_and_drafts(largest=9), st.sampled_from([(), (2,), (0,), (2, 3)]))
def test_batch_purity_freshness_and_dtype(drawn: tuple[int, tuple[Draft, ...]], batch: tuple[int, ...]) -> None:
    """A batch is moved as one by one; the argument is neither changed nor aliased; the dtype stays."""
    size, (s, t) = drawn

    def main(world: World) -> list[str]:
        S, T = s.on(world), t.on(world)
        A = Movement(S, T)
        x = S.integers(1, batch)
        before = x.copy()
        y = A(x)
        one_by_one = [A(x[index]) for index in np.ndindex(*batch)]
        faults = {
            "batch": y.tobytes() == np.array(one_by_one, y.dtype).tobytes(),
            "shape": y.shape == (*batch, *T.shape),
            "changed": np.array_equal(x, before),
            "aliased": not np.shares_memory(x, y),
            "dtype": y.dtype == x.dtype,
        }
        return [fault for fault, fine in faults.items() if not fine]

    assert on_ranks(size, main) == [[]] * size


@st.composite
def awkward(draw: st.DrawFn) -> tuple[int, tuple[Draft, Draft], np.ndarray]:
    """Draw a layout that holds each entry once, another one, and numbers that are no small integers."""
    size = draw(world_sizes(9))
    (t,) = draw(drafts_of_one_tensor(size, 1))
    axes = draw(grids(size)) if t.shape else t.axes
    s = draw(drafts(axes, t.shape, t.dtype, roles=(At, Split, Replicated), once=True))
    if Copies() in s.roles.values():  # more grid axes than tensor axes
        s = Draft(axes, t.shape, t.dtype, {n: Replicated() if r == Copies() else r for n, r in s.roles.items()})
    return size, (s, t), draw(awkward_arrays(t.shape, t.dtype))


@given(awkward())
def test_any_number_is_moved_as_it_is(drawn: tuple[int, tuple[Draft, Draft], np.ndarray]) -> None:
    """Offsets, ties, subnormal, huge and infinite numbers, and what is none: unchanged, where nothing is added."""
    size, (s, t), tensor = drawn

    def main(world: World) -> tuple[np.ndarray, np.ndarray]:
        S, T = s.on(world), t.on(world)
        return Movement(S, T)(S.from_global(tensor)), T.from_global(tensor)

    for found, expected in on_ranks(size, main):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@given(worlds_and_drafts(3, largest=9))
def test_product_is_a_multiple_of_one_movement(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """M(S, T) M(R, S) = c_S M(R, T), where no two intervals of S overlap and S holds every entry."""
    size, (r, s, t) = drawn
    multiplicities = np.diag(s.embedding().T @ s.embedding())
    copies = int(np.prod([n for name, n in s.axes.items() if isinstance(s.roles[name], Copies)], dtype=int))

    def main(world: World) -> tuple[np.ndarray, np.ndarray]:
        R, S, T = r.on(world), s.on(world), t.on(world)
        return matrix(Movement(S, T) @ Movement(R, S)), matrix(Movement(R, T))

    for product, single in on_ranks(size, main):
        if np.all(multiplicities == copies):
            np.testing.assert_array_equal(product, copies * single)


@given(worlds_and_drafts(same_grid=True, largest=9))
def test_collective_equals_exchange(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """Where a collective serves, it gives what the sparse exchange gives."""
    size, (s, t) = drawn

    def main(world: World) -> bool:
        S, T = s.on(world), t.on(world)
        x = S.integers(3, (2,))
        ways = [Plan(S.layout, T.layout, world.rank), collective(S, T)]
        found = [way.run(x, world, "test") for way in ways if way is not None]
        return all(np.array_equal(y, Movement(S, T)(x)) for y in found)

    assert all(on_ranks(size, main))


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        (At(0), Copies(), "broadcast"),
        (At(0), Replicated(), "broadcast"),
        (Copies(), At(0), "reduce"),
        (Copies(), Copies(), "allreduce"),
        (Copies(), Replicated(), "allreduce"),
        (Split(0), Copies(), None),
        (Replicated(), Copies(), None),
    ],
)
def test_which_collective(ranks: int, source: Any, target: Any, kind: str | None) -> None:
    """The pair of roles says which collective it would be, along axes of several ranks; along one of one, none."""

    def main(world: World) -> bool:
        grids = [Grid(world, rows=ranks), Grid(world, rows=ranks, cols=1), Grid(world, rows=1, cols=ranks)]
        for grid in grids:
            S = DistributedSpace(grid, (4, 3), **dict.fromkeys(list(grid.axes)[:1], source), **_rest(grid))
            T = S.with_roles(**dict.fromkeys(list(grid.axes)[:1], target))
            named = collective(S, T)
            assert (None if named is None else named.kind) == (kind if grid.axes["rows"] > 1 else None)
        return True

    assert all(on_ranks(ranks, main))


def _rest(grid: Grid) -> dict[str, Any]:
    """Give every axis but the first a role that needs nothing."""
    return {name: Split(1) for name in list(grid.axes)[1:]}


def test_copy_pick_and_slice_send_nothing(ranks: int) -> None:
    """From a replicated vector every rank takes what it needs of its own replica."""

    def main(world: World) -> int:
        grid = Grid(world, rows=ranks)
        V = DistributedSpace(grid, (5,), rows=Replicated())
        moves = [Movement(V, V.with_roles(rows=role)) for role in (At(0), Split(0), Copies(), Replicated())]
        before = world.traffic.messages, world.traffic.collectives
        x = V.from_global(np.arange(5.0))
        for A in moves:
            A._apply(x)
        return (world.traffic.messages, world.traffic.collectives) != before

    assert not any(on_ranks(ranks, main))


def test_a_halo_sends_only_its_boundary(ranks: int) -> None:
    """Each neighbour receives one message, of the width of the halo."""

    def main(world: World) -> tuple[int, int]:
        S = DistributedSpace(Grid(world, rows=ranks), (8 * ranks, 5), rows=Split(0))
        halo = [(a - 2, b + 1) for a, b in balanced(8 * ranks, ranks)]
        A = Movement(S, S.with_roles(rows=Split(0, halo)))
        x = S.normal(0)
        before = world.traffic.messages, world.traffic.bytes
        A._apply(x)
        return world.traffic.messages - before[0], world.traffic.bytes - before[1]

    for rank, (messages, size) in enumerate(on_ranks(ranks, main)):
        below, above = rank > 0, rank < ranks - 1
        assert messages == below + above
        assert size == (1 * below + 2 * above) * 5 * 8


@pytest.mark.parametrize("order", ["F", "reversed", "stride 0", "transposed"])
def test_any_strides(ranks: int, order: str) -> None:
    """What an array holds counts, not how it lies in memory."""

    def main(world: World) -> bool:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 5), rows=Split(0))
        same = []
        for role in (Copies(), Split(1), At(0), Replicated()):
            A = Movement(S, S.with_roles(rows=role))
            x = S.integers(0, (3,))
            if order == "stride 0":
                x = np.broadcast_to(x[:1], x.shape)
            views = {
                "F": np.asfortranarray(x),
                "reversed": x[:, ::-1, ::-1].copy()[:, ::-1, ::-1],
                "stride 0": x,
                "transposed": np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0),
            }
            same.append(np.array_equal(A(views[order]), A(np.ascontiguousarray(x))))
            y = np.asfortranarray(A.codomain.integers(1, (3,)))
            same.append(np.array_equal(A.H(y), A.H(np.ascontiguousarray(y))))
        return all(same)

    assert all(on_ranks(ranks, main))


def test_spaces_that_do_not_match_are_refused(ranks: int) -> None:
    """Other shapes or dtypes are refused on every rank, with both spaces in the message."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks), (6,), rows=Split(0))
        messages = []
        for other in (
            DistributedSpace(S.grid, (5,), rows=Split(0)),
            DistributedSpace(S.grid, (6,), np.float32, rows=Split(0)),
        ):
            with pytest.raises(SpaceError, match="differ") as caught:
                Movement(S, other)
            assert str(S) in str(caught.value)
            assert str(other) in str(caught.value)
            messages.append(str(caught.value))
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_that_disagree_later(ranks: int) -> None:
    """Another batch or dtype on one rank is an error on all of them, also where each was seen before; none hangs."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        A, B = Movement(S, S), Movement(S, S.with_roles(rows=At(0)))
        vectors = [np.ones((8, 3)), np.ones((4, 3)), np.ones((4, 3), np.float32)]
        for x in vectors:
            A(x)
        messages = []
        for first, second in ((0, 1), (1, 2), (2, 0)):
            with pytest.raises(AgreementError, match=r"rank 0: in AllSumReduce.* applied to a batch") as caught:
                A(vectors[first if world.rank == 0 else second])
            messages.append(str(caught.value))
        with pytest.raises(AgreementError, match=r"rank 0: in (Broadcast|the next)") as caught:  # noqa: PT012
            (B.H if world.rank == 0 else A)(np.ones(B.codomain.shape if world.rank == 0 else (3,)))
            world.allgather(0, "the next operation")  # a rank that only sends does not wait before
        assert A(vectors[0]).sum() == 24 * ranks
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


def test_gradients_do_not_stay_on_their_rank(ranks: int) -> None:
    """A tensor that records gradients is refused: its graph would end at this rank, and its gradient would be wrong."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        A = Movement(S, S.with_roles(rows=Replicated()))
        x = torch.ones(3, dtype=torch.float64, requires_grad=True)
        with pytest.raises(SpaceError, match=r"use torch_bridge\.as_function"):
            A(x)
        assert A(x.detach()).tolist() == [ranks] * 3

    on_ranks(ranks, main)


@pytest.mark.parametrize("library", [torch, array_api_strict])
def test_any_array_library(ranks: int, library: Any) -> None:
    """Arrays of torch and of the strict array API are moved as NumPy's are, and stay in their library."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (5, 2), rows=Split(0))
        for role in (Copies(), Split(1), At(0), Replicated()):
            A = Movement(S, S.with_roles(rows=role))
            x = S.integers(0, (2,))
            y = A(library.asarray(x))
            assert type(y) is type(library.asarray(x))
            np.testing.assert_array_equal(np.from_dlpack(y), A(x))
            assert A.H(y).shape == (2, *S.shape)

    on_ranks(ranks, main)


def test_movements_between_known_spaces(ranks: int) -> None:
    """A movement between spaces that all ranks agree on is the same one, adjoint and copies included."""

    def main(world: World) -> list[bool]:
        S = DistributedSpace(Grid(world, p=world.size), (7,), p=Split(0))
        T = S.with_roles(p=Copies())
        A, B = Movement(S, T), movement_between(S, T)
        x, y = S.integers(1), T.integers(2)
        found = [np.array_equal(A(x), C(x)) and np.array_equal(A.H(y), C.H(y)) for C in (B, copy.copy(B), B.H.H)]
        return [*found, A == B, B.H == A.H]

    assert on_ranks(ranks, main) == [[True] * 5] * ranks
