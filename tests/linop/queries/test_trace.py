"""The trace is the sum of the diagonal; what is sampled is right in the mean, and knows how far off it is."""

import itertools
import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, Local, Replicated, Split, simulate
from linop import (
    Block,
    BlockDiagonal,
    Diagonal,
    Euclidean,
    Identity,
    Kron,
    LinearOperator,
    Matrix,
    Product,
    Reweight,
    SpaceError,
    Weighted,
    Zero,
    matrix,
    reweight,
)
from linop.arrays import Vector
from linop.operators.indexing.restriction import Restriction
from linop.queries.trace import hutchinson, trace
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    space = draw(st.sampled_from(draw(spaces_of_a_tree())))
    return draw(expressions(space, space))


class Opaque(LinearOperator):
    """An operator that knows nothing of itself, and keeps the vectors that it was applied to."""

    def __init__(self, entries: Any, space: Any = None) -> None:
        self.inner = Matrix(entries, space, space)
        super().__init__(self.inner.domain, self.inner.codomain)
        self.seen: list[Vector] = []

    def _apply(self, x: Vector) -> Vector:
        self.seen.append(x)
        return self.inner._apply(x)

    def _apply_dual(self, y: Vector) -> Vector:
        return self.inner._apply_dual(y)


X, C, R = Euclidean(3), Euclidean(3, complex), Euclidean(2, complex, field="real")
ENTRIES = np.array([[1.0, 2.0, 0.0], [-1.0, 3.0, 5.0], [4.0, 0.0, -2.0]])
COMPLEX = ENTRIES + 1j * ENTRIES.T @ ENTRIES


@given(trees())
def test_expressions(tree: Expression) -> None:
    """It is the trace of the matrix, a Python number of the field."""
    found = trace(tree.operator)
    assert found == np.trace(tree.matrix)
    assert type(found) is (complex if tree.operator.domain.field == "complex" else float)


@pytest.mark.parametrize(
    "operator",
    [
        (2 - 3j) * Identity(R),
        (2 - 3j) * Matrix(np.arange(16.0).reshape(4, 4), R, R),
        Diagonal([1j, 2 - 1j], R),
        (1 + 1j) * Opaque(COMPLEX, C),
        Opaque(COMPLEX, C).H + 2 * Opaque(COMPLEX, C),
        Block([[Opaque(ENTRIES), 2 * Opaque(ENTRIES)], [None, Identity(X)]]),
        BlockDiagonal(Opaque(ENTRIES), Identity(Product(X, X))),
        Kron(Opaque(ENTRIES), Identity(X), Diagonal([2.0, 3.0])),
        Kron(Matrix([[1, 2]], Euclidean(2), Euclidean(())), Matrix([[3], [4]], Euclidean(()), Euclidean(2))),
        Zero(Euclidean(0), Euclidean(0)),
        reweight(Opaque(ENTRIES), Weighted(X, 2.0), Weighted(X, [1.0, 2.0, 3.0])),
        Opaque(ENTRIES, Weighted(X, [1.0, 2.0, 4.0])).H,
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_examples(operator: LinearOperator, method: Any) -> None:
    """Structure, weights and real spaces of complex arrays; the estimate is within ten of its standard errors."""
    expected = np.trace(matrix(operator))
    found = trace(operator, method=method, samples=1000)
    size = float(np.linalg.norm(matrix(operator))) if operator.domain.size else 0.0
    # The variance of one sample is at most twice the squared Frobenius norm; a Kronecker product multiplies two means.
    assert abs(found - expected) <= (1e-13 if method == "exact" else 10 * math.sqrt(2 / 1000)) * size


@given(trees())
def test_estimates_of_expressions(tree: Expression) -> None:
    """No sample is farther off than the sum of the absolute entries beside the diagonal; without any, it is exact."""
    beside = np.abs(tree.matrix - np.diag(np.diag(tree.matrix))).sum()
    found = hutchinson(tree.operator, samples=8)
    # Numbers are integers over small powers of two, but for the mean.
    assert abs(found.value - np.trace(tree.matrix)) <= beside * (1 + 1e-12)
    assert found.error <= 2 * beside / math.sqrt(8)
    structural = trace(tree.operator, method="hutchinson", samples=8)
    assert type(structural) is (complex if tree.operator.domain.field == "complex" else float)
    assert structural == trace(tree.operator, method="hutchinson", samples=8)


def test_the_smallest_space_is_summed_over() -> None:
    """Factors may go round: of a map to few coordinates and back, only those are tried."""
    tall = Matrix(np.arange(20.0).reshape(10, 2))
    small = Opaque([[1.0, 2.0], [3.0, 4.0]])
    A = tall @ small @ tall.H
    assert trace(A) == np.trace(matrix(A))
    weighted = Reweight(Euclidean(10), Weighted(Euclidean(10), 2.0)) @ A
    assert trace(weighted) == trace(A)
    small.seen.clear()
    trace(A)
    assert sum(len(x) for x in small.seen) == 2


def test_mean_over_all_signs() -> None:
    """``dot(z, A z)`` over all vectors of signs has the trace for its mean: the formula itself, without chance."""
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=3)))
    assert np.mean([z @ ENTRIES @ z for z in signs]) == np.trace(ENTRIES)
    units = np.array(list(itertools.product([1, -1, 1j, -1j], repeat=3)))
    assert np.mean([z.conj() @ COMPLEX @ z for z in units]) == np.trace(COMPLEX)


@pytest.mark.parametrize("space", [X, C, R, Euclidean((2, 2), np.float32), Weighted(X, 2.0)], ids=str)
def test_probes(space: Any) -> None:
    """Probes have independent coordinates of modulus one and mean zero."""
    n = space.size
    A = Opaque(np.eye(n), space)
    hutchinson(A, samples=20_000)
    z = space.to_coordinates(np.concatenate(A.seen))
    assert z.shape == (20_000, n)
    assert np.all(np.abs(z) == 1)
    assert len(np.unique(z)) == (4 if space.field == "complex" else 2)
    # The mean of 20000 independent numbers of modulus one is 0.007 in the root mean square; six times that is never.
    assert np.abs(z.mean(axis=0)).max() < 0.045
    assert np.abs(z.conj().T @ z / len(z) - np.eye(n)).max() < 0.045


def test_samples_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many samples there are, vectors of a bounded number of coordinates are in use, and none comes again."""
    monkeypatch.setattr(sys.modules["linop.queries.trace"], "BLOCK", 120)
    A = Opaque(np.eye(40), Euclidean(40))
    hutchinson(A, samples=8)
    assert [len(z) for z in A.seen] == [3, 3, 2]
    assert len(np.unique(np.concatenate(A.seen), axis=0)) == 8


def test_variance() -> None:
    """A sample of a real operator has the variance ``2 sum_(i != j) S_ij^2``; the error that is told is its root."""
    symmetric = (ENTRIES + ENTRIES.T) / 2
    variance = 2 * np.sum(symmetric**2) - 2 * np.sum(np.diag(symmetric) ** 2)
    found = hutchinson(Opaque(ENTRIES), samples=10_000)
    assert found.samples == 10_000
    # The spread of a spread: below 1 / sqrt(10000) times the kurtosis, which is below ten here.
    assert found.error == pytest.approx(math.sqrt(variance / 10_000), rel=0.05)
    assert abs(found.value - np.trace(ENTRIES)) <= 6 * found.error


def test_diagonals_have_no_error() -> None:
    """What is diagonal costs no luck."""
    found = hutchinson(Diagonal([1.0, -2.0, 4.0]), samples=2)
    assert (found.value, found.error) == (3.0, 0.0)
    assert hutchinson(Diagonal([1j, -2.0]), samples=5).value == -2 + 1j
    assert hutchinson(Identity(Product(R, X)), samples=5).value == 7


def test_seeds() -> None:
    """The same seed gives the same estimate, another one another."""
    A = Opaque(ENTRIES)
    assert hutchinson(A, seed=3) == hutchinson(A, seed=3)
    assert hutchinson(A, seed=3) != hutchinson(A, seed=(3, 1))
    assert trace(A, method="hutchinson", seed=3) == hutchinson(A, seed=3).value
    assert trace(A + A, method="hutchinson", seed=3) == 2 * hutchinson(A, seed=3).value


def test_independent_factors() -> None:
    """The estimates of two factors are independent, or their product would not be right in the mean."""
    A = Opaque([[0.0, 1.0], [1.0, 0.0]])  # the trace is zero, that of every sample is not
    found = [trace(Kron(A, A), method="hutchinson", samples=2, seed=seed) for seed in range(400)]
    # Products of two independent means of variance 2: of variance 4; the same mean squared would have the mean 2.
    assert abs(np.mean(found)) < 6 * math.sqrt(4 / 400)


def test_spread_over_processes() -> None:
    """All processes find the same, exactly and by sampling; a replicated vector counts once."""

    def main(world: Any) -> list[Any]:
        grid = Grid(world, rows=2)
        spaces = [DistributedSpace(grid, (4,), rows=role) for role in (Split(0), Copies(), Replicated())]
        found: list[Any] = []
        for space in spaces:
            n = space.shape[0]
            A = Local(space, space, Matrix(np.arange(float(n * n)).reshape(n, n)))
            found += [trace(A), trace(2 * Identity(space)), hutchinson(A), trace(A @ A, method="hutchinson")]
        return found

    first, second = simulate(2, main)
    assert first == second
    assert first[0::4] == [6, 60, 30]
    assert first[1::4] == [8, 16, 8]
    assert all(abs(e.value - t) <= 6 * e.error for e, t in zip(first[2::4], first[0::4], strict=True))


def test_what_is_refused() -> None:
    """Maps between different vectors, unknown methods, too few samples."""
    tall = Matrix(np.ones((3, 2)))
    for A in (
        tall,
        2 * tall,
        tall + tall,
        Block([[tall]]),
        BlockDiagonal(tall),
        Kron(tall, tall),
        tall @ Identity(tall.domain),
    ):
        for method in ("exact", "hutchinson"):
            with pytest.raises(SpaceError, match="Matrix"):
                trace(A, method=method)
    with pytest.raises(SpaceError, match="hutchinson"):
        hutchinson(Restriction(X, slice(2)))
    with pytest.raises(ValueError, match="found 'guess'"):
        trace(Identity(X), method="guess")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="found 1"):
        hutchinson(Identity(X), samples=1)
