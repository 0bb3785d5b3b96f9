"""MINRES solves self-adjoint equations that are not definite: as scipy's does, with any weights and shifts."""

import itertools
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import (
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    LinearOperator,
    Matrix,
    Product,
    Space,
    Weighted,
    matrix,
)
from linop.solve import minres
from linop.solve.loop import LEAST_SQUARES, RESIDUAL

pytestmark = pytest.mark.serial

TOLERANCE = 1e-10


def symmetric(generator: np.random.Generator, eigenvalues: np.ndarray, dtype: str) -> np.ndarray:
    """Return a self-adjoint matrix with these eigenvalues."""
    n = len(eigenvalues)
    entries = generator.standard_normal((n, n))
    if dtype.startswith("complex"):
        entries = entries + 1j * generator.standard_normal((n, n))
    q = np.linalg.qr(entries)[0]
    product = q * eigenvalues @ q.conj().T
    return (product + product.conj().T) / 2


def dense(A: LinearOperator) -> np.ndarray:
    """Return the matrix, column by column: the functions that tests lift to operators take no batches of tuples."""
    columns = [A.codomain.to_coordinates(A(A.domain.basis(i))) for i in range(A.domain.size)]
    return np.stack(columns, axis=-1)


@given(
    n=st.integers(1, 7),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    kind=st.sampled_from(["none", "number", "array", "operator"]),
    shift=st.sampled_from([0.0, 0.5, -20.0]),
    start=st.booleans(),
)
def test_solves_indefinite_systems(n: int, seed: int, dtype: str, kind: str, shift: float, start: bool) -> None:
    """For A self-adjoint in the weighted inner product, definite or not, x solves (A - shift) x = b."""
    generator = np.random.default_rng(seed)
    eigenvalues = generator.uniform(1, 10, n) * generator.choice([-1, 1], n)
    X: Space = Euclidean(n, dtype)
    weight = np.eye(n)
    if kind == "number":
        X, weight = Weighted(X, 3.0), 3.0 * weight
    if kind == "array":
        entries = generator.uniform(0.5, 2, n)
        X, weight = Weighted(X, entries), np.diag(entries)
    if kind == "operator":
        weight = symmetric(generator, generator.uniform(1, 3, n), dtype)
        X = Weighted(X, Matrix(weight))
    root = np.linalg.cholesky(weight).conj().T
    a = np.linalg.solve(root, symmetric(generator, eigenvalues, dtype) @ root)  # in orthonormal coordinates, symmetric
    A, b = Matrix(a, X, X), X.normal(seed)
    result = minres(A, b, x0=X.normal((seed, 1)) if start else None, shift=shift, tolerance=TOLERANCE)
    assert result, result
    assert result.reason == RESIDUAL
    expected = np.linalg.solve(a - shift * np.eye(n), b)
    shifted = np.abs(eigenvalues - shift)
    # |x - x*| = |(A - shift)^-1 r| in the space's norm, in which A has these eigenvalues.
    assert X.norm(result.x - expected) <= 1.01 * TOLERANCE * X.norm(b) / shifted.min()
    assert np.all(np.diff(result.residuals) <= 1e-12 * result.residuals[0])


@pytest.mark.parametrize("shift", [0.0, 1.3])
def test_same_iterates_as_scipy(shift: float) -> None:
    """On Euclidean spaces, every iterate is scipy's, to rounding."""
    n, steps = 30, 12
    generator = np.random.default_rng(0)
    eigenvalues = np.linspace(2, 10, n) * generator.choice([-1, 1], n)
    entries, b = symmetric(generator, eigenvalues, "float64"), generator.standard_normal(n)
    ours: list[np.ndarray] = []
    theirs: list[np.ndarray] = []
    result = minres(
        Matrix(entries), b, shift=shift, tolerance=0.0, iterations=steps, callback=lambda state: ours.append(state.x)
    )
    scipy.sparse.linalg.minres(
        entries, b, shift=shift, rtol=0.0, maxiter=steps, callback=lambda x: theirs.append(x.copy())
    )
    assert len(ours) == len(theirs) == steps
    condition = np.abs(eigenvalues - shift).max() / np.abs(eigenvalues - shift).min()
    for k, (x, y) in enumerate(zip(ours, theirs, strict=True), start=1):
        close = k * n * condition * np.finfo(float).eps  # roundings of a step, amplified by the condition number
        assert np.linalg.norm(x - y) <= close * np.linalg.norm(x)
        true = np.linalg.norm(b - entries @ y + shift * y)
        assert result.residuals[k] == pytest.approx(true, abs=close * np.linalg.norm(b))


def test_from_a_start_as_scipy() -> None:
    """From x0, the iterates are scipy's."""
    generator = np.random.default_rng(1)
    entries = symmetric(generator, np.array([-3.0, -2.0, 1.0, 4.0, 5.0]), "float64")
    b, x0 = generator.standard_normal(5), generator.standard_normal(5)
    result = minres(Matrix(entries), b, x0=x0, tolerance=0.0, iterations=3)
    x, _ = scipy.sparse.linalg.minres(entries, b, x0=x0, rtol=0.0, maxiter=3)
    np.testing.assert_allclose(result.x, x, atol=3 * 5 * 5 * np.finfo(float).eps * 100)


def test_singular_and_inconsistent() -> None:
    """Where the equation has no solution, the least-squares solution is found, and said to be one."""
    result = minres(Diagonal([2.0, 0.0, -1.0]), np.array([4.0, 1.0, 3.0]))
    assert result
    assert result.reason == LEAST_SQUARES
    np.testing.assert_allclose(result.x[[0, 2]], [2.0, -3.0], rtol=1e-7)
    assert result.residuals[-1] == pytest.approx(1.0, rel=1e-12)
    # A right-hand side that A takes to zero: the start is as good as anything.
    nothing = minres(Diagonal([2.0, 0.0]), np.array([0.0, 1.0]))
    assert (nothing.converged, nothing.reason, nothing.iterations) == (True, LEAST_SQUARES, 0)


def test_a_shift_that_is_an_eigenvalue() -> None:
    """The equation is singular then, and consistent where the right-hand side has no part in the eigenspace."""
    result = minres(Diagonal([1.0, 2.0, 5.0]), np.array([3.0, 0.0, 3.0]), shift=2.0)
    assert result
    assert result.reason == RESIDUAL
    np.testing.assert_allclose(result.x, [-3.0, 0.0, 1.0], rtol=1e-7)


@pytest.mark.parametrize("shift", [np.nan, np.inf])
def test_the_shift_must_be_finite(shift: float) -> None:
    """Another one is refused."""
    with pytest.raises(ValueError, match="minres: expected shift to be a finite number"):
        minres(Matrix([[1.0]]), np.ones(1), shift=shift)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_what_the_recurrence_knows(weight: float) -> None:
    """Of each iterate it has the norms of r and of A r, and a bound on |A| from below."""
    generator = np.random.default_rng(4)
    X = Weighted(Euclidean(6), weight)
    A = Matrix(symmetric(generator, np.array([-500.0, -300.0, 200.0, 250.0, 400.0, 600.0]), "float64"), X, X)
    r, start = 1e6 * X.normal(0), X.normal(1)
    steps = import_module("linop.solve.krylov.minres")._recurrence(A, start, r)
    for step in itertools.islice(steps, 5):
        residual = r - A(step.x - start)
        # Roundings of a few steps, amplified by the condition, three.
        assert step.residual == pytest.approx(X.norm(residual), rel=1e-12)
        assert step.normal == pytest.approx(X.norm(A(residual)), rel=1e-12)
        assert 200 * (1 - 1e-12) <= step.norm <= 600 * (1 + 1e-12)


def test_the_recurrence_has_an_end() -> None:
    """Asked for more than there is, it gives a reason, and does not divide by zero."""
    steps = import_module("linop.solve.krylov.minres")._recurrence(Diagonal([0.0, 0.0]), np.zeros(2), np.ones(2))
    assert next(steps).normal == 0
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.startswith("breakdown: ")


def test_saddle_point_in_a_product() -> None:
    """The equations (D, B.H; B, 0) of a constrained minimisation, with weights on both parts."""
    X, Y = Weighted(Euclidean(4), [1.0, 2.0, 3.0, 4.0]), Weighted(Euclidean(2), 0.5)
    B = Matrix([[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 2.0, 0.0]], X, Y)
    D = Diagonal([2.0, 1.0, 1.0, 3.0], X)
    P = Product(X, Y)

    def apply(x: Any) -> Any:
        return D(x[0]) + B.H(x[1]), B(x[0])

    A = FunctionOperator(P, P, apply, lambda y: P.riesz(apply(P.riesz_inverse(y))))
    b = (np.array([1.0, 0.0, 2.0, 0.0]), np.array([1.0, 3.0]))
    result = minres(A, b, tolerance=TOLERANCE)
    assert result
    expected = np.linalg.solve(dense(A), P.to_coordinates(b))
    # Weights differ by a factor of eight at most, hence norms of vectors and of matrices by its root.
    error = np.linalg.norm(P.to_coordinates(result.x) - expected)
    assert error <= TOLERANCE * np.linalg.cond(dense(A)) * 8 * 8 * np.linalg.norm(expected)


def test_across_ranks() -> None:
    """On simulated ranks, H* H - 1.5, which is indefinite, is inverted; all ranks have the same history."""

    def main(world: World) -> tuple[Any, ...]:
        S = DistributedSpace(Grid(world, p=3), (8,), p=Split(0))
        H = HaloExchange(S, {0: (1, 1)})
        result = minres(H.H @ H, S.from_global(np.arange(8.0)), shift=1.5, tolerance=TOLERANCE)
        return S.to_global(result.x), result.residuals, bool(result), matrix(H.H @ H - 1.5 * Identity(S))

    answers = simulate(3, main)
    x, residuals, converged, entries = answers[0]
    assert converged
    assert np.linalg.eigvalsh(entries)[0] < 0 < np.linalg.eigvalsh(entries)[-1]
    expected = np.linalg.solve(entries, np.arange(8.0))
    assert np.linalg.norm(x - expected) <= 1.01 * TOLERANCE * np.linalg.cond(entries) * np.linalg.norm(expected)
    assert all(answer[1] == residuals for answer in answers)
