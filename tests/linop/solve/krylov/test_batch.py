"""Many right-hand sides at once: each has the solution that it has alone."""

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import (
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    Matrix,
    Product,
    Space,
    VStack,
    Weighted,
)
from linop.solve import Result, State, bicgstab, cg, cgls, gmres, lsmr, lsqr, minres
from linop.solve.loop import RESIDUAL, ZERO

pytestmark = pytest.mark.serial

Solver = Callable[..., Result]
TOLERANCE = 1e-10
SOLVERS: list[Solver] = [cg, minres, gmres, bicgstab, cgls, lsqr, lsmr]
LEAST: list[Solver] = [cgls, lsqr, lsmr]
each_solver = pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.__name__)


def positive(generator: np.random.Generator, n: int, dtype: str) -> np.ndarray:
    """Return a self-adjoint matrix with eigenvalues from 1 to 10."""
    entries = generator.standard_normal((n, n))
    if dtype == "complex128":
        entries = entries + 1j * generator.standard_normal((n, n))
    q = np.linalg.qr(entries)[0]
    product = q * generator.uniform(1, 10, n) @ q.conj().T
    return (product + product.conj().T) / 2


@given(
    n=st.integers(1, 6),
    batch=st.sampled_from([(1,), (3,), (2, 2), (0,)]),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    weighted=st.booleans(),
    start=st.booleans(),
    solver=st.sampled_from(SOLVERS),
)
def test_each_has_its_own_solution(
    n: int, batch: tuple[int, ...], seed: int, dtype: str, weighted: bool, start: bool, solver: Solver
) -> None:
    """Every right-hand side is solved to its own tolerance, however different their lengths; zero among them, too."""
    generator = np.random.default_rng(seed)
    X: Space = Euclidean(n, dtype)
    weight = np.ones(n)
    if weighted:
        weight = generator.uniform(0.5, 2, n)
        X = Weighted(X, weight)
    A = Matrix(positive(generator, n, dtype) / weight[:, None], X, X)
    b = X.normal(seed, batch) * 10.0 ** generator.integers(-6, 6, (*batch, 1))
    b[generator.uniform(size=batch) < 0.2] = 0
    before = b.copy()
    result = solver(A, b, x0=X.normal((seed, 1), batch) if start else None, tolerance=TOLERANCE)
    assert result, result
    assert result.x.shape == b.shape
    np.testing.assert_array_equal(b, before)
    assert np.all(X.norm(b - A(result.x)) <= 1.01 * TOLERANCE * X.norm(b))
    assert all(np.shape(residual) == batch for residual in result.residuals)


@pytest.mark.parametrize("solver", LEAST, ids=lambda solver: solver.__name__)
@pytest.mark.parametrize("damp", [0.0, 0.5])
def test_least_squares(solver: Solver, damp: float) -> None:
    """Least-squares solutions, some of equations that have one and some of equations that have none."""
    generator = np.random.default_rng(0)
    a = generator.standard_normal((9, 4))
    b = generator.standard_normal((5, 9))
    b[1], b[2] = a @ np.ones(4), np.linalg.qr(a, mode="complete")[0][:, 5]  # in the range, and orthogonal to it
    result = solver(Matrix(a), b, damp=damp, tolerance=1e-12)
    assert result
    expected = np.linalg.solve(a.T @ a + damp**2 * np.eye(4), a.T @ b.T).T
    np.testing.assert_allclose(result.x, expected, atol=1e-11 * np.linalg.cond(a) ** 2)


@each_solver
def test_iterates_are_those_of_each_alone(solver: Solver) -> None:
    """Step by step, every right-hand side has the iterate and the residual that it has alone."""
    generator = np.random.default_rng(1)
    A, b = Matrix(positive(generator, 12, "float64")), generator.standard_normal((3, 12))
    seen: list[State] = []
    together = solver(A, b, tolerance=0.0, iterations=5, callback=seen.append)
    assert together.iterations == 5
    for k in range(3):
        alone: list[State] = []
        result = solver(A, b[k], tolerance=0.0, iterations=5, callback=alone.append)
        for first, second in zip(seen, alone, strict=True):
            # roundings of five steps with a condition number of ten
            np.testing.assert_allclose(first.x[k], second.x, rtol=0, atol=1e-13 * np.linalg.norm(second.x))
        np.testing.assert_allclose([r[k] for r in together.residuals], result.residuals, rtol=1e-9)


@each_solver
@pytest.mark.parametrize("preconditioned", [False, True])
def test_tiny_and_huge_ones(solver: Solver, preconditioned: bool) -> None:
    """Right-hand sides whose squares are no numbers are solved beside others, and alone, with and without M."""
    A = Matrix([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 5.0]])
    options: dict[str, Any] = {"preconditioner": Diagonal([0.25, 0.33, 0.2])} if preconditioned else {}
    b = np.array([[1.0, 2, 3], [1e-200, 2e-200, -1e-200], [0, 0, 0], [1e200, 0, 1e200]])
    result = solver(A, b, tolerance=1e-12, **options)
    assert result, result
    units = np.array([1.0, 1e-200, 1.0, 1e200])[:, None]
    np.testing.assert_allclose(result.x / units, np.linalg.solve(A.entries, (b / units).T).T, atol=1e-10)


@each_solver
def test_some_are_solved_at_once(solver: Solver) -> None:
    """Right-hand sides that are solved after one step, or at the start, wait for the others."""
    A = Diagonal([1.0, 2.0, 3.0, 4.0])
    b = np.array([[1.0, 0, 0, 0], [1.0, 1, 1, 1], [0, 0, 0, 0]])
    result = solver(A, b, tolerance=1e-12)
    assert (result.converged, result.reason) == (True, RESIDUAL)
    np.testing.assert_allclose(result.x, b / np.arange(1.0, 5.0), atol=4e-12 * 2)
    zero = solver(A, 0 * b)
    assert (zero.converged, zero.reason, zero.iterations, zero.x.tolist()) == (True, ZERO, 0, (0 * b).tolist())
    assert "converged after" in repr(result)


@each_solver
@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "array_api_strict"])
def test_any_array_library(solver: Solver, xp: Any) -> None:
    """Batches stay in the library and precision of b."""
    A = Matrix([[4.0, 1.0], [1.0, 3.0]])
    b = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    result = solver(A, xp.asarray(b), tolerance=1e-5)
    assert result
    assert type(result.x) is type(xp.asarray(b))
    assert result.x.dtype == xp.float32
    np.testing.assert_allclose(np.from_dlpack(result.x), np.linalg.solve(A.entries, b.T).T, rtol=1e-4)


@pytest.mark.parametrize("solver", LEAST, ids=lambda solver: solver.__name__)
def test_products(solver: Solver) -> None:
    """Batches of tuples are solved, too."""
    generator = np.random.default_rng(2)
    a, X = generator.standard_normal((4, 3)), Weighted(Euclidean(3), [1.0, 2.0, 3.0])
    A = VStack(Matrix(a, X, Euclidean(4)), 2.0 * Identity(X))
    P = A.codomain
    assert isinstance(P, Product)
    b = P.normal(0, (3,))
    result = solver(A, b, tolerance=1e-12)
    assert result
    for k in range(3):
        alone = solver(A, tuple(part[k] for part in b), tolerance=1e-12)
        np.testing.assert_allclose(result.x[k], alone.x, atol=1e-11)


@each_solver
def test_across_ranks(solver: Solver) -> None:
    """On ranks, the solutions are those in one process to twelve digits, and all ranks have one history."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=world.size), (11,), p=Split(0))
        D = HaloExchange(S, {0: (1, 1)})
        T = D.codomain
        weights = np.array([1.0, 2.0, 1.0])
        C = FunctionOperator(
            T,
            S,
            lambda x: sum(w * x[..., k : k + S.shape[0]] for k, w in enumerate(weights)),
            lambda y: sum(w * np.pad(y, [(0, 0)] * (y.ndim - 1) + [(k, 2 - k)]) for k, w in enumerate(weights)),
        )
        A = C @ D + 3.0 * Identity(S)
        b = np.random.default_rng(0).standard_normal((4, 11))
        result = solver(A, S.from_global(b), tolerance=1e-13)
        return S.to_global(result.x), np.array(result.residuals).tolist()

    alone = simulate(1, main)[0][0]
    for ranks in (2, 4):
        answers = simulate(ranks, main)
        for x, history in answers:
            assert history == answers[0][1]
            np.testing.assert_allclose(x, alone, rtol=0, atol=1e-12 * np.abs(alone).max())
