"""A distributed gather takes entries at any indices, each rank its own, and its adjoint adds them up."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    Cyclic,
    DistributedGather,
    DistributedSpace,
    Grid,
    ParallelCost,
    Replicated,
    Split,
    World,
    traffic,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import SpaceError, check, claims, cost, matrix, simplify
from linop.testing import DTYPES


class Case(NamedTuple):
    """A tensor, its layout, how many axes have indices, and a seed for each rank's indices."""

    size: int
    draft: Draft
    axes: int
    counts: list[int]
    seed: int

    def indices(self, rank: int) -> tuple[np.ndarray, ...]:
        """Return a rank's indices: with repeated ones, more often than not."""
        generator = np.random.default_rng((self.seed, rank))
        extents = self.draft.shape[: self.axes]
        count = self.counts[rank] if all(extents) else 0
        return tuple(generator.integers(0, max(n, 1), count) for n in extents)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return layouts that hold each entry on one rank, uneven or cyclic, with splits of the axes that have indices."""
    size = draw(world_sizes())
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    domain = draw(drafts(draw(grids(size)), shape, draw(st.sampled_from(DTYPES)), roles=(At, Split, Cyclic), once=True))
    if Copies() in domain.roles.values():  # more grid axes than tensor axes
        domain.roles.update({name: At(0) for name, role in domain.roles.items() if role == Copies()})
    split = [role.axis for role in domain.roles.values() if role.axis is not None]
    axes = draw(st.integers(max([0, *split]) + 1, len(shape)))
    counts = draw(st.lists(st.integers(0, 6), min_size=size, max_size=size))
    return Case(size, domain, axes, counts, draw(st.integers(0, 2**16)))


def expected(case: Case) -> np.ndarray:
    """Return the matrix, rank after rank on both sides: from what each rank holds of an enumeration of the tensor."""
    E = case.draft.embedding()
    places = np.arange(int(np.prod(case.draft.shape))).reshape(case.draft.shape)
    rows = np.concatenate([places[case.indices(rank)].reshape(-1) for rank in range(case.size)])
    return np.eye(places.size)[rows] @ E.T


@given(cases())
def test_equals_indexing(case: Case) -> None:
    """From any layout, over one axis or several, repeated or not: exactly, and so is the adjoint, which adds up."""

    def main(world: World) -> None:
        X = case.draft.on(world)
        A = DistributedGather(X, case.indices(world.rank))
        found = matrix(A)
        whole = expected(case)
        if X.field == "real" and X.dtype.kind == "c":
            whole = np.kron(whole, np.eye(2))
        np.testing.assert_array_equal(found, whole)
        np.testing.assert_array_equal(matrix(A.H), whole.T)
        reports = check(A)
        assert reports, str(reports)
        counts = whole.sum(axis=0)
        assert (claims.COISOMETRY in A.claims or A.claims >= claims.UNITARY) == bool(np.all(counts <= 1))

    on_ranks(case.size, main)


@given(cases())
def test_what_is_sent(case: Case) -> None:
    """Every rank sends what others want of it, each entry once, one message to each: what `traffic` says, the least."""

    def main(world: World) -> None:
        X = case.draft.on(world)
        A = DistributedGather(X, case.indices(world.rank))
        said = traffic(A)[world.rank]
        before = world.traffic.messages, world.traffic.bytes
        A._apply(X.integers(0))
        sent = world.traffic.messages - before[0], world.traffic.bytes - before[1]
        assert sent == (said.messages, said.bytes)
        assert isinstance(cost(A), ParallelCost)
        # The minimum: different entries that are wanted by a rank that does not hold them.
        owned = X.positions() if X.shape and 0 not in X.shape else np.zeros(0, int)
        places = np.arange(int(np.prod(X.global_shape))).reshape(X.global_shape)
        wanted = places[case.indices(world.rank)].reshape(-1)
        foreign = np.setdiff1d(wanted, owned).size
        received = sum(world.allgather(foreign, "test"))
        assert sum(one.bytes for one in traffic(A)) == received * X.dtype.itemsize

    on_ranks(case.size, main)


@given(cases(), st.integers(0, 2**16))
def test_two_gathers_are_one(case: Case, seed: int) -> None:
    """Simplified, one gather after another is a gather of the indices' indices, with the same matrix."""

    def main(world: World) -> None:
        X = case.draft.on(world)
        A = DistributedGather(X, case.indices(world.rank))
        total = A.codomain.global_shape[0]
        generator = np.random.default_rng((seed, world.rank))
        B = DistributedGather(A.codomain, generator.integers(0, max(total, 1), 4 if total else 0))
        fused = simplify(B @ A)
        np.testing.assert_array_equal(matrix(fused), matrix(B) @ matrix(A))
        if total and 0 not in X.global_shape:
            assert isinstance(fused, DistributedGather)

    on_ranks(case.size, main)


def test_into_a_layout_of_ones_own(ranks: int) -> None:
    """Indices in the shape of what a rank holds of the codomain: a transposition of a split image, say."""

    def main(world: World) -> None:
        grid = Grid(world, p=ranks)
        X, Y = DistributedSpace(grid, (6, 5), p=Split(0)), DistributedSpace(grid, (5, 6), p=Split(0))
        start, stop = Y.roles["p"].intervals[world.rank]  # type: ignore[attr-defined]
        j, i = np.meshgrid(np.arange(start, stop), np.arange(6), indexing="ij")
        A = DistributedGather(X, (i, j), Y)
        x = np.arange(30.0).reshape(6, 5)
        np.testing.assert_array_equal(Y.to_global(A(X.from_global(x))), x.T)
        np.testing.assert_array_equal(X.to_global(A.H(Y.from_global(x.T))), x)
        assert A.claims >= claims.UNITARY
        assert DistributedGather(X, (i, j), Y) == A != DistributedGather(X, (i, 0 * j), Y)
        copies = DistributedSpace(grid, (3,), p=Copies())
        B = DistributedGather(X, (np.array([0, 5, 5]), np.array([1, 2, 2])), copies)
        assert B(X.from_global(x)).tolist() == [1.0, 27.0, 27.0]
        assert X.to_global(B.H(np.ones(3)))[5, 2] == 2 * ranks

    on_ranks(ranks, main)


def test_batches_and_tensors(ranks: int) -> None:
    """Batch axes are carried along, integers move as they are, and torch's gradient is the adjoint."""
    from torch_bridge import as_function

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=ranks), (7, 2), p=Split(0))
        A = DistributedGather(S, np.array([6, world.rank, 0, 6]))
        x = np.arange(28.0).reshape(2, 7, 2)
        y = A(S.from_global(x))
        np.testing.assert_array_equal(y, x[:, [6, world.rank, 0, 6]])
        assert A(S.from_global(x.astype(np.int64))).dtype == np.int64
        t = torch.from_numpy(S.from_global(x[0])).requires_grad_()
        as_function(A)(t).sum().backward()
        assert t.grad is not None
        np.testing.assert_array_equal(t.grad.numpy(), A.H(np.ones(A.codomain.shape)))

    on_ranks(ranks, main)


def test_what_is_refused() -> None:
    """All ranks raise, and say what was found."""

    def main(world: World) -> None:
        grid = Grid(world, p=world.size)
        S = DistributedSpace(grid, (6, 4), p=Split(0))
        for indices, complaint in (
            ([6], r"indices from 0 to 5 for axis 0, found 6"),
            ([-1], r"found -1"),
            ([0.5], r"arrays of integers"),
            (([0], [0, 1]), r"arrays of one shape, found \[\(1,\), \(2,\)\]"),
            (([0], [0], [0]), r"for one of its axes or more, found 3"),
        ):
            with pytest.raises(SpaceError, match=complaint):
                DistributedGather(S, indices)
        if world.size > 1:
            with pytest.raises(AgreementError, match="found 9"):
                DistributedGather(S, [9] if world.rank == 0 else [0])
            with pytest.raises(SpaceError, match=r"each entry on one rank, found p=Replicated"):
                DistributedGather(S.with_roles(p=Replicated()), [0])
            with pytest.raises(SpaceError, match="for every axis that is split"):
                DistributedGather(S.with_roles(p=Split(1)), [0])
            with pytest.raises(SpaceError, match="a codomain that is not replicated"):
                DistributedGather(S, [0, 0], DistributedSpace(grid, (2, 4), p=Replicated()))
        with pytest.raises(SpaceError, match=r"indices of shape \(3,\) for .*found \(1,\)"):
            DistributedGather(S, [0], DistributedSpace(grid, (3, 4), p=Copies()))

    on_ranks(2, main)
