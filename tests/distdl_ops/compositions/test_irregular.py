"""Sparse matrices, interpolation, masks and uneven exchanges across ranks are their serial twins."""

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    DistributedInterpolation,
    DistributedRestriction,
    DistributedSpace,
    DistributedSparseMatrix,
    Grid,
    Split,
    UnevenAllToAll,
    World,
)
from distdl_ops.testing import on_ranks, world_sizes
from linop import Euclidean, Interpolation, SpaceError, assert_correct, claims, matrix
from linop.solve import cg


@given(size=world_sizes(), shape=st.sampled_from([(7,), (4, 3), (0,)]), seed=st.integers(0, 2**16))
def test_sparse_matrices(size: int, shape: tuple[int, ...], seed: int) -> None:
    """The matrix is the rows of all ranks, one below the other; only columns with entries travel."""
    columns = int(np.prod(shape))
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 5, size)
    blocks = [
        np.where(generator.uniform(size=(n, columns)) < 0.4, generator.integers(-3, 4, (n, columns)), 0).astype(float)
        for n in counts
    ]

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=size), shape, p=Split(0))
        A = DistributedSparseMatrix(scipy.sparse.csr_array(blocks[world.rank]), X)
        # The coordinates of X run over the ranks, which hold rows of the tensor in order.
        np.testing.assert_array_equal(matrix(A), np.concatenate(blocks))
        np.testing.assert_array_equal(matrix(A.H), np.concatenate(blocks).T)
        assert_correct(A)
        before = world.traffic.bytes
        A._apply(X.integers(0))
        sent = sum(world.allgather(world.traffic.bytes - before, "test"))
        owner = np.concatenate([np.full(n, rank) for rank, n in enumerate(world.allgather(int(np.prod(X.shape)), "t"))])
        needed = sum(int(np.sum(np.any(block, axis=0) & (owner != rank))) for rank, block in enumerate(blocks))
        assert sent == 8 * needed

    on_ranks(size, main)


def test_a_solver_on_a_sparse_matrix(ranks: int) -> None:
    """A Laplacian from rows of each rank, on a space of its own, is inverted by conjugate gradients."""
    n = 30
    dense = 3 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=ranks), (n,), p=Split(0))
        start, stop = X.roles["p"].intervals[world.rank]  # type: ignore[attr-defined]
        A = DistributedSparseMatrix(scipy.sparse.csr_array(dense[start:stop]), X, codomain=X)
        result = cg(A, X.from_global(np.ones(n)), tolerance=1e-12)
        np.testing.assert_allclose(X.to_global(result.x), np.linalg.solve(dense, np.ones(n)), rtol=1e-11)

    on_ranks(ranks, main)


@given(
    size=world_sizes(),
    shape=st.sampled_from([(5,), (1,), (3, 4), (2, 1, 3)]),
    seed=st.integers(0, 2**16),
    boundary=st.sampled_from(["error", "zero", "edge"]),
)
def test_interpolation(size: int, shape: tuple[int, ...], seed: int, boundary: Any) -> None:
    """At points of each rank, the values are those of the interpolation in one process, and so is the adjoint."""
    generator = np.random.default_rng(seed)
    reach = 0.0 if boundary == "error" else 1.0
    points = [
        np.round(8 * generator.uniform(-reach, np.array(shape) - 1 + reach, (n, len(shape)))) / 8
        for n in generator.integers(0, 5, size)
    ]

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=size), shape, p=Split(0))
        A = DistributedInterpolation(X, points[world.rank], boundary=boundary)
        serial = Interpolation(Euclidean(shape), np.concatenate(points), boundary=boundary)
        np.testing.assert_allclose(matrix(A), matrix(serial), atol=1e-15)
        assert_correct(A)

    on_ranks(size, main)


@given(size=world_sizes(), seed=st.integers(0, 2**16), width=st.integers(0, 2))
def test_uneven_exchanges(size: int, seed: int, width: int) -> None:
    """Rank t has the pieces for it in the order of their senders; the adjoint brings them back; all is unitary."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 3, (size, size))
    counts[0, 0] += 1  # a tensor with rows
    total = int(counts.sum())
    ends = np.concatenate([[0], np.cumsum(counts.sum(axis=1))])
    pieces = [(int(a), int(b)) for a, b in itertools.pairwise(ends)]
    x = np.arange(float(total * width)).reshape(total, width)

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=size), (total, width), p=Split(0, pieces))
        A = UnevenAllToAll(X, counts[world.rank].tolist())
        expected = []
        for sender in range(size):
            begin = ends[sender] + counts[sender, : world.rank].sum()
            expected.append(x[begin : begin + counts[sender, world.rank]])
        y = A(X.from_global(x))
        np.testing.assert_array_equal(y, np.concatenate(expected))
        np.testing.assert_array_equal(A.H(y), X.from_global(x))
        assert A.claims >= claims.UNITARY

    on_ranks(size, main)


@given(size=world_sizes(), seed=st.integers(0, 2**16))
def test_indices_and_masks(size: int, seed: int) -> None:
    """Restrictions to indices, to masks of rows, and to masks of entries are NumPy's, split evenly."""
    generator = np.random.default_rng(seed)
    x = np.arange(24.0).reshape(6, 4)
    rows = generator.integers(-6, 6, generator.integers(0, 9))
    cases: list[Any] = [rows, rows.tolist(), generator.uniform(size=6) < 0.5, generator.uniform(size=(6, 4)) < 0.5]

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=size), (6, 4), p=Split(0))
        for index in cases:
            A = DistributedRestriction(X, index)
            expected = x[np.asarray(index, int) if isinstance(index, list) else index]
            np.testing.assert_array_equal(A.codomain.to_global(A(X.from_global(x))), expected)
            assert_correct(A)
            lengths = [stop - start for start, stop in A.codomain.roles["ranks"].intervals]
            assert max(lengths) - min(lengths) <= 1

    on_ranks(size, main)


@pytest.mark.serial
def test_what_is_refused() -> None:
    """All ranks raise, and say what was found."""

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=world.size), (6, 4), p=Split(0))
        with pytest.raises(TypeError, match="expected rows to be a sparse matrix of scipy, found an array of shape"):
            DistributedSparseMatrix(np.eye(24), X)
        with pytest.raises(SpaceError, match=r"rows of 24 columns, found shape \(2, 3\)"):
            DistributedSparseMatrix(scipy.sparse.csr_array((2, 3)), X)
        with pytest.raises(SpaceError, match=r"points of shape \(count, 2\), found \(1, 1\)"):
            DistributedInterpolation(X, [[0.5]])
        with pytest.raises(SpaceError, match=r"points from 0 to \[5, 3\], found \[6.0, 0.0\]"):
            DistributedInterpolation(X, [[6.0, 0.0]])
        with pytest.raises(SpaceError, match=r"mask of the shape \(6, 4\), found shape \(5,\)"):
            DistributedRestriction(X, np.ones(5, bool))
        with pytest.raises(SpaceError, match="indices from -6 to 5, found 6 to 6"):
            DistributedRestriction(X, [6])
        if world.size > 1:
            with pytest.raises(SpaceError, match=r"UnevenAllToAll on .*expected 2 numbers of rows, 3 together"):
                UnevenAllToAll(X, [1, 1])
            with pytest.raises(AgreementError, match="UnevenAllToAll"):
                UnevenAllToAll(X, [1, 1] if world.rank else [1, 2])

    on_ranks(2, main)
