"""Singular values, traces and diagonals from random vectors: exact for low rank, near for quickly falling spectra."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedDiagonal, DistributedFiniteDifference, DistributedSpace, Grid, Split, World, simulate
from linop import Diagonal, Euclidean, Matrix, Space, SpaceError, Weighted, hutchinson
from linop.solve import diagonal_estimate, hutchpp, randomised_svd

pytestmark = pytest.mark.serial


def normal(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return random entries."""
    return Euclidean(shape, dtype).normal(seed)


@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    rank=st.integers(1, 4),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    weighted=st.booleans(),
)
def test_low_rank_is_exact(rows: int, columns: int, rank: int, seed: int, dtype: str, weighted: bool) -> None:
    """Of an operator of low rank, all singular values and vectors are found, for the inner products of its spaces."""
    rank = min(rank, rows, columns)
    generator = np.random.default_rng(seed)
    u, v = (np.linalg.qr(normal(seed + k, (n, rank), dtype))[0] for k, n in enumerate((rows, columns)))
    values = np.sort(generator.uniform(1, 5, rank))[::-1]
    X: Space = Euclidean(columns, dtype)
    Y: Space = Euclidean(rows, dtype)
    wx, wy = np.ones(columns), np.ones(rows)
    if weighted:
        wx, wy = generator.uniform(0.5, 2, columns), generator.uniform(0.5, 2, rows)
        X, Y = Weighted(X, wx), Weighted(Y, wy)
    A = Matrix((u * values @ v.conj().T) * np.sqrt(wx) / np.sqrt(wy)[:, None], X, Y)
    found = randomised_svd(A, rank)
    np.testing.assert_allclose(found.values, values, rtol=1e-10)
    for s, left, right in zip(found.values, found.left, found.right, strict=True):
        assert Y.norm(A(right) - s * left) < 1e-9
        assert X.norm(A.H(left) - s * right) < 1e-9
        assert X.norm(right) == pytest.approx(1, rel=1e-12)


def test_more_values_than_there_are() -> None:
    """Values that are zero are left out; vectors are orthonormal."""
    found = randomised_svd(Diagonal([4.0, 0.0, 2.0, 0.0, 0.0]), 4)
    np.testing.assert_allclose(found.values, [4.0, 2.0], rtol=1e-12)
    for vectors in (found.left, found.right):
        np.testing.assert_allclose(np.stack(vectors) @ np.stack(vectors).T, np.eye(2), atol=1e-12)
    assert len(randomised_svd(Matrix(np.zeros((3, 4))), 2).values) == 0


@given(
    n=st.integers(1, 30),
    rank=st.integers(1, 4),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
)
def test_traces_and_diagonals_of_low_rank(n: int, rank: int, seed: int, dtype: str) -> None:
    """An operator of low rank, self-adjoint or not, has an exact trace and an exact diagonal."""
    a = normal(seed, (n, rank), dtype) @ normal(seed + 1, (rank, n), dtype)
    size = np.linalg.norm(a)
    X = Weighted(Euclidean(n, dtype), np.random.default_rng(seed).uniform(0.5, 2, n))
    A = Matrix(a, X, X)
    assert abs(hutchpp(A, samples=15, seed=seed) - np.trace(a)) <= 1e-10 * size
    np.testing.assert_allclose(diagonal_estimate(A, samples=15, seed=seed), np.diag(a), atol=1e-10 * size)


def test_hutchpp_beats_hutchinson() -> None:
    """For eigenvalues that fall as 1 / k^2, the error is a tenth of that of as many samples without a basis."""
    n = 300
    q = np.linalg.qr(normal(0, (n, n), "float64"))[0]
    a = q / np.arange(1, n + 1) ** 2 @ q.T
    errors = {"plain": 0.0, "plus": 0.0}
    for seed in range(10):
        errors["plain"] += abs(hutchinson(Matrix(a), samples=60, seed=seed).value - np.trace(a)) / 10
        errors["plus"] += abs(hutchpp(Matrix(a), samples=60, seed=seed) - np.trace(a)) / 10
    assert errors["plus"] < 0.1 * errors["plain"]


def test_diagonals_of_falling_spectra() -> None:
    """For eigenvalues that fall as 1 / k^2, entries are near; with as many samples as coordinates, exact."""
    n = 120
    q = np.linalg.qr(normal(0, (n, n), "complex128"))[0]
    a = q / np.arange(1, n + 1) ** 2 @ q.conj().T
    error = np.linalg.norm(diagonal_estimate(Matrix(a), samples=90) - np.diag(a))
    # (1 - Q Q*) A has about the eigenvalues after the 30th; its Frobenius norm over sqrt(30), twice for bad luck.
    assert error < 2 * np.sqrt(np.sum(np.arange(30, n + 1) ** -4.0)) / np.sqrt(30)
    np.testing.assert_allclose(diagonal_estimate(Matrix(a), samples=3 * n), np.diag(a), atol=1e-13)
    assert hutchpp(Matrix(a), samples=3 * n) == pytest.approx(np.trace(a), rel=1e-13)


def test_across_ranks() -> None:
    """On ranks, everything is what it is in one process to twelve digits; the diagonal lies where the space does."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=world.size), (13,), p=Split(0))
        D = DistributedFiniteDifference(S, order=2, scheme="central", boundary="zero")
        A = DistributedDiagonal(np.arange(1.0, 14.0) ** 2, S) - D
        found = randomised_svd(A, 2)
        return found.values, hutchpp(A, samples=9), S.to_global(diagonal_estimate(A, samples=9))

    values, trace, diagonal = simulate(1, main)[0]
    for ranks in (2, 4):
        for found, total, entries in simulate(ranks, main):
            np.testing.assert_allclose(found, values, rtol=1e-12)
            assert total == pytest.approx(trace, rel=1e-12)
            np.testing.assert_allclose(entries, diagonal, atol=1e-12 * np.abs(diagonal).max())


def test_errors() -> None:
    """What cannot be is refused by name."""
    tall = Matrix(np.ones((3, 2)))
    with pytest.raises(SpaceError, match=r"hutchpp of Matrix\(3x2\).*from a space to itself"):
        hutchpp(tall)
    with pytest.raises(SpaceError, match=r"diagonal_estimate of .*from a space to itself"):
        diagonal_estimate(tall)
    with pytest.raises(ValueError, match="three samples or more, found 2"):
        hutchpp(Diagonal([1.0]), samples=2)
    with pytest.raises(ValueError, match="a count of 1 or more, found 0"):
        randomised_svd(tall, 0)
