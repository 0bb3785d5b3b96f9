"""A preconditioner is another inner product: it changes the way to a solution, and never the solution."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedDiagonal, DistributedFiniteDifference, DistributedSpace, Grid, Split, World, simulate
from linop import Diagonal, Euclidean, Identity, LinearOperator, Matrix, Space, SpaceError, Weighted, reweight
from linop.solve import Result, bicgstab, cg, cgls, gmres, lsmr, lsqr, minres

pytestmark = pytest.mark.serial

Solver = Callable[..., Result]
TOLERANCE = 1e-10
SQUARE: list[Solver] = [cg, minres, gmres, bicgstab]
LEAST: list[Solver] = [cgls, lsqr, lsmr]
each_solver = pytest.mark.parametrize("solver", SQUARE + LEAST, ids=lambda solver: solver.__name__)


def unitary(generator: np.random.Generator, n: int, dtype: str) -> np.ndarray:
    """Return an orthogonal or unitary matrix."""
    entries = generator.standard_normal((n, n))
    if dtype == "complex128":
        entries = entries + 1j * generator.standard_normal((n, n))
    return np.linalg.qr(entries)[0]


def positive(generator: np.random.Generator, n: int, dtype: str, condition: float) -> np.ndarray:
    """Return a self-adjoint matrix with eigenvalues from 1 to `condition`."""
    q = unitary(generator, n, dtype)
    entries = q * generator.uniform(1, condition, n) @ q.conj().T
    return (entries + entries.conj().T) / 2


def weighted(generator: np.random.Generator, n: int, dtype: str, kind: str) -> tuple[Space, np.ndarray]:
    """Return a space, and the matrix of its weights."""
    X = Euclidean(n, dtype)
    if kind == "array":
        weight = generator.uniform(0.5, 2, n)
        return Weighted(X, weight), np.diag(weight)
    if kind == "operator":
        entries = positive(generator, n, dtype, 3.0)
        return Weighted(X, Matrix(entries)), entries
    return X, np.eye(n)


def self_adjoint(X: Space, weight: np.ndarray, entries: np.ndarray) -> LinearOperator:
    """Return an operator that is self-adjoint in a space: the weights' inverse times a self-adjoint matrix."""
    return Matrix(np.linalg.solve(weight, entries), X, X)


@given(
    n=st.integers(1, 7),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    kind=st.sampled_from(["none", "array", "operator"]),
    solver=st.sampled_from(SQUARE),
    start=st.booleans(),
)
def test_square_systems(n: int, seed: int, dtype: str, kind: str, solver: Solver, start: bool) -> None:
    """With a random preconditioner that is self-adjoint and positive in the weighted space, the solution is found."""
    generator = np.random.default_rng(seed)
    X, weight = weighted(generator, n, dtype, kind)
    A = self_adjoint(X, weight, positive(generator, n, dtype, 10.0))
    M = self_adjoint(X, weight, positive(generator, n, dtype, 10.0))
    b = X.normal(seed)
    result = solver(A, b, preconditioner=M, x0=X.normal((seed, 1)) if start else None, tolerance=TOLERANCE)
    assert result, result
    expected = np.linalg.solve(A.entries, b)
    # |A^-1| is at most |W| = 3; the residual of minres is measured by M, between 1 / 3 and 20 in the space.
    assert X.norm(result.x - expected) <= 3 * 60 * TOLERANCE * X.norm(b)


@given(
    rows=st.integers(1, 8),
    columns=st.integers(1, 6),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    kind=st.sampled_from(["none", "array", "operator"]),
    solver=st.sampled_from(LEAST),
    damp=st.sampled_from([0.0, 0.7]),
)
def test_least_squares(rows: int, columns: int, seed: int, dtype: str, kind: str, solver: Solver, damp: float) -> None:
    """The residual of the normal equations vanishes in the weighted spaces: M takes no part in what is minimised."""
    generator = np.random.default_rng(seed)
    X, weight = weighted(generator, columns, dtype, kind)
    Y, _ = weighted(generator, rows, dtype, kind)
    rank = min(rows, columns)
    singular = generator.uniform(1, 3, rank)
    A = Matrix(unitary(generator, rows, dtype)[:, :rank] * singular @ unitary(generator, columns, dtype)[:rank], X, Y)
    M = self_adjoint(X, weight, positive(generator, columns, dtype, 4.0))
    b = Y.normal(seed)
    result = solver(A, b, preconditioner=M, damp=damp, tolerance=TOLERANCE)
    assert result, result
    normal = A.H(b - A(result.x)) - damp**2 * result.x
    # Weights are between 1/2 and 3, M between 1/3 and 8, |A| at most 3 sqrt(6): small over what was asked for.
    assert X.norm(normal) <= 1000 * TOLERANCE * Y.norm(b)


@given(seed=st.integers(0, 2**16), solver=st.sampled_from(LEAST), kind=st.sampled_from(["none", "array", "operator"]))
def test_least_squares_are_those_of_another_inner_product(seed: int, solver: Solver, kind: str) -> None:
    """Step by step, the iterates are those without M where X has the inner product <x, M^-1 y>: the derivation."""
    generator = np.random.default_rng(seed)
    X, weight = weighted(generator, 5, "float64", kind)
    a, b = generator.standard_normal((7, 5)), generator.standard_normal(7)
    entries = positive(generator, 5, "float64", 4.0)
    M = self_adjoint(X, weight, entries)
    other = weight @ np.linalg.inv(M.entries)
    Z = Weighted(Euclidean(5), Matrix((other + other.T) / 2))
    for steps in (1, 2, 3):
        first = solver(Matrix(a, X, Euclidean(7)), b, preconditioner=M, iterations=steps, tolerance=0.0)
        second = solver(Matrix(a, Z, Euclidean(7)), b, iterations=steps, tolerance=0.0)
        # Roundings, amplified by the squared condition numbers of A (random, 7 x 5) and M.
        np.testing.assert_allclose(first.x, second.x, atol=1e-10 * np.linalg.norm(second.x) * np.linalg.cond(a) ** 2)


@given(seed=st.integers(0, 2**16), kind=st.sampled_from(["none", "array", "operator"]))
def test_conjugate_gradients_are_those_of_another_inner_product(seed: int, kind: str) -> None:
    """Step by step, the iterates are those for M A x = M b in the space with <x, M^-1 y>: the derivation."""
    generator = np.random.default_rng(seed)
    X, weight = weighted(generator, 5, "float64", kind)
    A = self_adjoint(X, weight, positive(generator, 5, "float64", 10.0))
    M = self_adjoint(X, weight, positive(generator, 5, "float64", 4.0))
    other = weight @ np.linalg.inv(M.entries)
    Z = Weighted(Euclidean(5), Matrix((other + other.T) / 2))
    b = X.normal(seed)
    for steps in (1, 2, 3):
        first = cg(A, b, preconditioner=M, iterations=steps, tolerance=0.0)
        second = cg(Matrix(M.entries @ A.entries, Z, Z), M(b), iterations=steps, tolerance=0.0)
        # The condition number of M A is at most 40: roundings, amplified by it and by |M^-1|.
        np.testing.assert_allclose(first.x, second.x, atol=1e-11 * np.linalg.norm(second.x))


@each_solver
def test_the_inverse_needs_one_step(solver: Solver) -> None:
    """With the inverse of A (or of A.H A) for a preconditioner, one step is enough."""
    A = Diagonal(np.linspace(1.0, 1000.0, 50))
    power = 1 if solver in SQUARE else 2
    M = Diagonal(np.linspace(1.0, 1000.0, 50) ** -power)
    result = solver(A, np.ones(50), preconditioner=M)
    assert result
    assert result.iterations == 1
    assert solver(A, np.ones(50)).iterations > 10


@each_solver
def test_what_is_no_preconditioner(solver: Solver) -> None:
    """Another space, an array, or an operator that is not positive is refused in words."""
    A, b = Diagonal([1.0, 2.0]), np.ones(2)
    with pytest.raises(SpaceError, match=rf"{solver.__name__} with Diag.*expected a preconditioner from Euclidean"):
        solver(A, b, preconditioner=Identity(Euclidean(3)))
    with pytest.raises(TypeError, match=r"expected preconditioner to be .*LinearOperator.*found "):
        solver(A, b, preconditioner=np.eye(2))
    if solver not in (gmres, bicgstab):
        result = solver(A, b, preconditioner=Diagonal([-1.0, -1.0]))
        assert not result
        assert result.reason.startswith("breakdown: inner(r, M r) = -")
        assert result.reason.endswith("the preconditioner is not positive definite")
        assert result.x.tolist() == [0.0, 0.0]


@each_solver
def test_across_ranks(solver: Solver) -> None:
    """On ranks, the answer is that in one process to twelve digits."""

    def solution(world: World) -> Any:
        S = Weighted(DistributedSpace(Grid(world, p=world.size), (17,), p=Split(0)), 0.5)
        V = S.unweighted
        scale = np.linspace(1.0, 30.0, 17)
        D = DistributedFiniteDifference(V, order=2, scheme="central", boundary="zero")
        A = reweight(DistributedDiagonal(scale, V) - D, S, S)
        M = reweight(DistributedDiagonal(1 / (scale + 2), V), S, S)
        result = solver(A, V.from_global(np.cos(np.arange(17.0))), preconditioner=M, tolerance=1e-13)
        return V.to_global(result.x), result.iterations

    (alone, steps), *_ = simulate(1, solution)
    for ranks in (2, 4):
        for x, iterations in simulate(ranks, solution):
            assert abs(iterations - steps) <= 1
            np.testing.assert_allclose(x, alone, rtol=0, atol=1e-12 * np.abs(alone).max())
