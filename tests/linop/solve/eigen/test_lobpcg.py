"""LOBPCG finds extreme eigenvalues with their multiplicities, and in few steps with a preconditioner."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedFiniteDifference, DistributedSpace, Grid, Split, World, simulate
from linop import Diagonal, Euclidean, FiniteDifference, Matrix, Product, Space, SpaceError, Weighted
from linop.blocks.block_diagonal import BlockDiagonal
from linop.solve import lobpcg
from linop.solve.eigen.lanczos import RESIDUAL

pytestmark = pytest.mark.serial


@given(
    n=st.integers(1, 10),
    count=st.integers(1, 4),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    weighted=st.booleans(),
    largest=st.booleans(),
)
def test_extreme_eigenvalues(n: int, count: int, seed: int, dtype: str, weighted: bool, largest: bool) -> None:
    """The wanted eigenvalues are found, some of them twice; the eigenvectors are orthonormal in the space."""
    count = min(n, count)
    generator = np.random.default_rng(seed)
    entries = generator.standard_normal((n, n))
    if dtype == "complex128":
        entries = entries + 1j * generator.standard_normal((n, n))
    q = np.linalg.qr(entries)[0]
    eigenvalues = generator.integers(-4, 5, n).astype(float)
    X: Space = Euclidean(n, dtype)
    root = np.ones(n)
    if weighted:
        weight = generator.uniform(0.5, 2, n)
        X, root = Weighted(X, weight), np.sqrt(weight)
    a = (q * eigenvalues @ q.conj().T) * root / root[:, None]
    result = lobpcg(
        Matrix(a, X, X),
        count,
        which="largest" if largest else "smallest",
        tolerance=1e-9,
        absolute=1e-12,
        iterations=500,
    )
    assert result, result
    wanted = np.sort(eigenvalues)[::-1][:count] if largest else np.sort(eigenvalues)[:count]
    # The error of an eigenvalue is at most its residual, of 1e-9 times |A|, at most 4.
    np.testing.assert_allclose(result.values, wanted, atol=1e-8)
    products = np.array([[X.inner(u, v) for v in result.x] for u in result.x])
    np.testing.assert_allclose(products, np.eye(count), atol=1e-12)


def test_a_preconditioner_saves_steps() -> None:
    """The smallest eigenvalues of a Laplacian with a strong potential: its inverse diagonal takes few steps."""
    n = 400
    potential = np.linspace(1, 1000, n) ** 2
    D = FiniteDifference(Euclidean(n), order=2, scheme="central", boundary="zero")
    A = Diagonal(potential) - D
    plain = lobpcg(A, 3, which="smallest", tolerance=1e-8, iterations=2000)
    result = lobpcg(
        A, 3, which="smallest", preconditioner=Diagonal(1 / (potential + 2)), tolerance=1e-8, iterations=2000
    )
    assert result
    assert result.reason == RESIDUAL
    assert result.iterations < 30
    assert result.iterations * 5 < plain.iterations
    dense = np.diag(potential + 2) - np.eye(n, k=1) - np.eye(n, k=-1)
    np.testing.assert_allclose(result.values, np.linalg.eigvalsh(dense)[:3], rtol=1e-4, atol=1e-8 * potential[-1])


def test_products() -> None:
    """Vectors may be tuples."""
    A = BlockDiagonal(Diagonal([1.0, 5.0]), Diagonal([4.0, 2.0, 0.0]))
    assert isinstance(A.domain, Product)
    result = lobpcg(A, 2, tolerance=1e-10)
    assert result
    np.testing.assert_allclose(result.values, [5.0, 4.0], atol=1e-9)
    assert isinstance(result.x[0], tuple)


def test_across_ranks() -> None:
    """On ranks, the eigenvalues are those in one process to twelve digits."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=world.size), (20,), p=Split(0))
        D = DistributedFiniteDifference(S, order=2, scheme="central", boundary="zero")
        result = lobpcg(-D, 3, tolerance=1e-10)
        return result.values, result.iterations

    values, steps = simulate(1, main)[0]
    np.testing.assert_allclose(values, 2 - 2 * np.cos(np.pi * np.arange(20, 17, -1) / 21), rtol=1e-12)
    for ranks in (2, 4):
        for found, iterations in simulate(ranks, main):
            assert abs(iterations - steps) <= 1
            np.testing.assert_allclose(found, values, rtol=1e-12)


def test_errors() -> None:
    """What cannot be is refused by name."""
    A = Diagonal([1.0, 2.0])
    with pytest.raises(ValueError, match=r"lobpcg with Diag.*expected from 1 to 2 eigenvalues, found 3"):
        lobpcg(A, 3)
    with pytest.raises(ValueError, match=r"a start of 2 independent vectors, found 1"):
        lobpcg(A, 2, start=np.ones((2, 2)))
    with pytest.raises(SpaceError, match=r"found batch axes \(1,\)"):
        lobpcg(A, 2, start=np.ones((1, 2)))
    with pytest.raises(SpaceError, match="from a space to itself"):
        lobpcg(Matrix(np.ones((2, 3))))
