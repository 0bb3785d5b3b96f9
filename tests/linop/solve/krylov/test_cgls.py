"""Conjugate gradients for least squares find the minimiser in the norms of the two spaces, damped or not."""

import itertools
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import (
    Euclidean,
    FunctionOperator,
    LinearOperator,
    LinopError,
    Matrix,
    Product,
    Space,
    Weighted,
    Zero,
    matrix,
    reweight,
)
from linop.solve import cgls, lsmr, lsqr
from linop.solve.loop import LEAST_SQUARES

pytestmark = pytest.mark.serial

TOLERANCE = 1e-10
SOLVERS = [cgls, lsqr, lsmr]
each_solver = pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.__name__)


class Problem(NamedTuple):
    """Least squares between two spaces, and the weights of the two as matrices."""

    A: LinearOperator
    b: np.ndarray
    damp: float
    wx: np.ndarray
    wy: np.ndarray

    def whitened(self) -> np.ndarray:
        """Return the matrix of ``x -> (A x, damp x)`` in orthonormal coordinates, so that 2-norms are the spaces'."""
        x, y = (np.linalg.cholesky(weight).conj().T for weight in (self.wx, self.wy))
        return np.concatenate([y @ matrix(self.A) @ np.linalg.inv(x), self.damp * np.eye(len(x))])

    def solution(self) -> np.ndarray:
        """Return the solution of the normal equations."""
        a = matrix(self.A)
        return np.linalg.solve(a.conj().T @ self.wy @ a + self.damp**2 * self.wx, a.conj().T @ self.wy @ self.b)


def complex_normal(generator: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return random entries, complex where the dtype is."""
    entries = generator.standard_normal(shape)
    return entries + 1j * generator.standard_normal(shape) if dtype.startswith("complex") else entries


def weighted(generator: np.random.Generator, n: int, dtype: str, kind: str) -> tuple[Space, np.ndarray]:
    """Return a space with weights, and these as a matrix."""
    X = Euclidean(n, dtype)
    if kind == "none":
        return X, np.eye(n)
    if kind == "number":
        return Weighted(X, 3.0), 3.0 * np.eye(n)
    if kind == "array":
        entries = generator.uniform(0.5, 2, n)
        return Weighted(X, entries), np.diag(entries)
    root = complex_normal(generator, (n, n), dtype) / np.sqrt(n) / 2
    weight = np.eye(n) + root @ root.conj().T
    weight = (weight + weight.conj().T) / 2
    return Weighted(X, Matrix(weight)), weight


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Return small problems of full column rank: tall or square, real or complex, with weights of every kind."""
    columns, seed = draw(st.integers(1, 5)), draw(st.integers(0, 2**16))
    rows = columns + draw(st.integers(0, 4))
    dtype = draw(st.sampled_from(["float64", "complex128"]))
    generator = np.random.default_rng(seed)
    kinds = st.sampled_from(["none", "number", "array", "operator"])
    (X, wx), (Y, wy) = (weighted(generator, n, dtype, draw(kinds)) for n in (columns, rows))
    u, _, vh = np.linalg.svd(complex_normal(generator, (rows, columns), dtype), full_matrices=False)
    A = Matrix(u * generator.uniform(0.2, 5.0, columns) @ vh, X, Y)
    return Problem(A, Y.normal(seed), draw(st.sampled_from([0.0, 0.5, 3.0])), wx, wy)


def allowed(problem: Problem) -> float:
    """Return a bound on the error ``|x - x*|`` in the norm of X.

    The error is (A.H A)^-1 A.H r. Either |A.H r| <= tolerance |A| |r| with |r| <= |b|, or |r| <= tolerance |b|. So it
    is at most ``tolerance |b| max(|A| |A^+|^2, |A^+|)``, and |A| |A^+| >= 1. Roundings, of the dense solution of the
    normal equations too, add a few eps cond^2.
    """
    singular = np.linalg.svd(problem.whitened(), compute_uv=False)
    condition, size = singular[0] / singular[-1], problem.A.codomain.norm(problem.b)
    return float((TOLERANCE + 20 * np.finfo(float).eps * condition) * condition / singular[-1] * size)


@each_solver
@given(problem=problems())
def test_solves_weighted_least_squares(solver: Any, problem: Problem) -> None:
    """The minimiser of |A x - b|_Y^2 + damp^2 |x|_X^2 is that of the normal equations with the weights."""
    result = solver(problem.A, problem.b, damp=problem.damp, tolerance=TOLERANCE)
    assert result, result
    assert problem.A.domain.norm(result.x - problem.solution()) <= allowed(problem)


@each_solver
@given(problem=problems(), seed=st.integers(0, 2**16))
def test_any_start_gives_the_same_minimiser(solver: Any, problem: Problem, seed: int) -> None:
    """What is minimised does not depend on the start; damping is of x, not of the distance from the start."""
    X, Y = problem.A.domain, problem.A.codomain
    x0 = X.normal(seed)
    result = solver(problem.A, problem.b, x0=x0, damp=problem.damp, tolerance=TOLERANCE)
    assert result, result
    # |r| is at most that of the start, which takes the place of |b|.
    start = np.hypot(Y.norm(problem.b - problem.A(x0)), problem.damp * X.norm(x0))
    larger = max(1.0, start / Y.norm(problem.b))
    assert X.norm(result.x - problem.solution()) <= larger * allowed(problem)
    assert result.residuals[0] == pytest.approx(start, rel=1e-12)


@each_solver
@given(problem=problems())
def test_the_history_is_that_of_what_is_minimised(solver: Any, problem: Problem) -> None:
    """Residuals are sqrt(|b - A x|^2 + damp^2 |x|^2) at each iterate, and never increase."""
    X, Y = problem.A.domain, problem.A.codomain
    true = [Y.norm(problem.b)]
    result = solver(
        problem.A,
        problem.b,
        damp=problem.damp,
        tolerance=1e-6,
        callback=lambda s: true.append(np.hypot(Y.norm(problem.b - problem.A(s.x)), problem.damp * X.norm(s.x))),
    )
    # Recurrences drift from the truth by some eps cond^2, with cond below 100 here, relative to |b|.
    np.testing.assert_allclose(result.residuals, true, atol=1e-11 * true[0])
    assert np.all(np.diff(result.residuals) <= 1e-11 * true[0])


@each_solver
def test_underdetermined(solver: Any) -> None:
    """Of many solutions, the one of least norm in X is found from zero."""
    X, Y = Weighted(Euclidean(4), [1.0, 2.0, 4.0, 0.5]), Weighted(Euclidean(2), 3.0)
    a = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 1.0, -1.0]])
    b = np.array([1.0, 2.0])
    result = solver(Matrix(a, X, Y), b, tolerance=TOLERANCE)
    inverse = np.diag(1 / np.array([1.0, 2.0, 4.0, 0.5]))
    expected = inverse @ a.T @ np.linalg.solve(a @ inverse @ a.T, b)
    # |A^+| |b| < 10 for these numbers, in either norm
    np.testing.assert_allclose(result.x, expected, atol=10 * TOLERANCE)


@each_solver
def test_rank_deficient_and_inconsistent(solver: Any) -> None:
    """Where there is no solution, and no unique minimiser, that of least norm is found, and said to be one."""
    a = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    b = np.array([1.0, 3.0, 4.0, 5.0])
    result = solver(Matrix(a), b, tolerance=TOLERANCE)
    assert result
    assert result.reason == LEAST_SQUARES
    np.testing.assert_allclose(result.x, [1.0, 1.0, 2.0], atol=10 * TOLERANCE)  # |A| |A^+|^2 |b| < 10


@each_solver
def test_right_hand_side_orthogonal_to_the_range(solver: Any) -> None:
    """Where A.H b = 0, zero is the minimiser, and no step is needed; where it is so up to rounding, one."""
    result = solver(Matrix([[1.0], [1.0]]), np.array([1.0, -1.0]))
    assert (result.converged, result.reason, result.iterations) == (True, LEAST_SQUARES, 0)
    assert result.x.tolist() == [0.0]
    almost = solver(Matrix([[0.1], [0.2], [0.3]]), np.array([0.3, 0.0, -0.1]))
    assert almost
    assert almost.iterations <= 1
    assert abs(almost.x[0]) <= 1e-15


@each_solver
def test_products(solver: Any) -> None:
    """Unknowns and data may be tuples: two operators on one unknown pair."""
    generator = np.random.default_rng(3)
    first, second = generator.standard_normal((4, 2)), generator.standard_normal((3, 3))
    X = Product(Euclidean(2), Weighted(Euclidean(3), 2.0))
    Y = Product(Weighted(Euclidean(4), [1.0, 2.0, 3.0, 4.0]), Product(Euclidean(3)))
    A = FunctionOperator(
        X, Y, lambda x: (first @ x[0], (second @ x[1],)), lambda y: (first.T @ y[0], second.T @ y[1][0])
    )
    b = Y.normal(0)
    result = solver(A, b, damp=0.5, tolerance=TOLERANCE)
    assert result
    weights = np.diag(np.arange(1.0, 5.0))
    expected = np.linalg.solve(first.T @ weights @ first + 0.25 * np.eye(2), first.T @ weights @ b[0])
    # |A| < 10 and |A^+| <= 2 by the damping, |b| < 10
    np.testing.assert_allclose(result.x[0], expected, atol=400 * TOLERANCE)
    expected = np.linalg.solve(second.T @ second + 0.5 * np.eye(3), second.T @ b[1][0])
    np.testing.assert_allclose(result.x[1], expected, atol=400 * TOLERANCE)


@each_solver
def test_from_real_to_complex_arrays(solver: Any) -> None:
    """Between a real space of complex arrays and real arrays, unknowns have the field of the domain."""
    X, Y = Euclidean(2), Euclidean(2, complex, field="real")
    A = FunctionOperator(X, Y, lambda x: (1 + 2j) * x, lambda y: ((1 - 2j) * y).real)
    result = solver(A, np.array([1 + 2j, 5.0]))
    assert result.x.dtype == np.float64
    np.testing.assert_allclose(result.x, [1.0, 1.0], rtol=1e-7)
    back = solver(A.H, np.array([5.0, 10.0]))
    assert back
    np.testing.assert_allclose(back.x, [1 + 2j, 2 + 4j], rtol=1e-7)


@each_solver
def test_across_ranks(solver: Any) -> None:
    """A halo exchange has independent columns: from its overlapping parts the tensor comes back, damped or not."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=3), (9,), p=Split(0))
        H = HaloExchange(S, {0: (2, 1)})
        weighted = reweight(H, Weighted(S, 2.0), Weighted(H.codomain, 3.0))
        noise = H.codomain.normal(0)
        plain = solver(H, H(S.from_global(np.arange(9.0))), tolerance=TOLERANCE)
        damped = solver(weighted, noise, damp=0.5, tolerance=TOLERANCE)
        dense = matrix(H)
        return S.to_global(plain.x), S.to_global(damped.x), damped.residuals, dense, H.codomain.to_coordinates(noise)

    answers = simulate(3, main)
    x, damped, _, dense, noise = answers[0]
    np.testing.assert_allclose(x, np.arange(9.0), atol=TOLERANCE * np.linalg.norm(dense @ np.arange(9.0)) * 2)
    expected = np.linalg.solve(3 * dense.T @ dense + 0.25 * 2 * np.eye(9), 3 * dense.T @ noise)
    np.testing.assert_allclose(damped, expected, atol=TOLERANCE * 10 * np.linalg.norm(noise))  # cond, norms: below ten
    assert all(answer[2] == answers[0][2] for answer in answers)


@each_solver
@pytest.mark.parametrize("weights", [False, True])
def test_what_a_recurrence_knows(solver: Any, weights: bool) -> None:
    """Of each iterate it has the norms of r and of A.H r, and a bound on |A| from below."""
    generator = np.random.default_rng(7)
    X, Y = Euclidean(5), Euclidean(8)
    if weights:
        X, Y = Weighted(X, [1.0, 2.0, 3.0, 2.0, 1.0]), Weighted(Y, 0.5)
    u, _, vh = np.linalg.svd(generator.standard_normal((8, 5)), full_matrices=False)
    A, r = 100 * Matrix(u * [2.0, 3.0, 4.0, 5.0, 6.0] @ vh, X, Y), 1e6 * Y.normal(0)
    # Weights from 1 to 3, and of 1/2, bring the singular values 2 to 6 between 2 / sqrt(6) and 6 / sqrt(2).
    least, most = (100 * 2 / np.sqrt(6), 100 * 6 / np.sqrt(2)) if weights else (200.0, 600.0)
    start = X.normal(1)
    steps = import_module(f"linop.solve.krylov.{solver.__name__}")._recurrence(A, start, r.copy())
    for k, step in enumerate(itertools.islice(steps, 5)):
        residual = r - A(step.x - start)
        normal = X.norm(A.H(residual))
        # Roundings of a few steps, amplified by the square of the condition, which is below 12.
        assert step.residual == pytest.approx(Y.norm(residual), rel=1e-10)
        assert step.normal == pytest.approx(normal, rel=1e-9)
        if k > 0:
            assert least * (1 - 1e-10) <= step.norm <= most * (1 + 1e-10)


def test_the_bound_of_a_step() -> None:
    """The bound on |A| is |A p| / |p| in the direction p of the step."""
    generator = np.random.default_rng(8)
    X = Weighted(Euclidean(6), [1.0, 2.0, 3.0, 2.0, 1.0, 1.0])
    A, r = Matrix(generator.standard_normal((9, 6)), X), generator.standard_normal(9)
    steps = import_module("linop.solve.krylov.cgls")._recurrence(A, np.zeros(6), r)
    for before, after in itertools.pairwise(itertools.islice(steps, 5)):
        p = after.x - before.x
        # The recurrence for |p| relies on orthogonality, which a few steps keep to eps cond^2 < 1e-12.
        assert after.norm == pytest.approx(A.codomain.norm(A(p)) / X.norm(p), rel=1e-10)


@each_solver
def test_a_recurrence_that_has_come_to_its_end(solver: Any) -> None:
    """Asked for more than there is, it gives a reason, and does not divide by zero."""
    zero = Zero(Euclidean(2), Euclidean(3))
    steps = import_module(f"linop.solve.krylov.{solver.__name__}")._recurrence(zero, np.zeros(2), np.ones(3))
    assert next(steps).normal == 0
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.startswith("breakdown: ")


def test_damping_must_be_a_number() -> None:
    """A negative or infinite weight is refused by name."""
    for damp in (-1.0, np.nan, np.inf, "much"):
        with pytest.raises(LinopError, match="cgls: expected damp to be a finite number, zero or more"):
            cgls(Matrix([[1.0]]), np.ones(1), damp=damp)  # type: ignore[arg-type]


def test_same_iterates_as_lsqr() -> None:
    """In exact arithmetic, CGLS and LSQR are the same; to rounding for a few steps of a well-conditioned problem."""
    generator = np.random.default_rng(5)
    A, b = Matrix(generator.standard_normal((60, 20))), generator.standard_normal(60)
    for damp in (0.0, 2.0):
        for steps in (1, 3, 8):
            first, second = (s(A, b, damp=damp, iterations=steps, tolerance=0.0) for s in (cgls, lsqr))
            condition = np.linalg.cond(A.entries)
            close = steps * 60 * condition**2 * np.finfo(float).eps  # roundings of a step, amplified by that of A.H A
            assert np.linalg.norm(first.x - second.x) <= close * np.linalg.norm(second.x)
            np.testing.assert_allclose(first.residuals, second.residuals, rtol=close)
