"""GMRES and BiCGSTAB solve any square system, as scipy's do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    BlockDiagonal,
    Diagonal,
    Euclidean,
    FunctionOperator,
    Matrix,
    Product,
    Space,
    SpaceError,
    VStack,
    Weighted,
    Zero,
)
from linop.solve import Result, bicgstab, gmres

pytestmark = pytest.mark.serial

Solver = Callable[..., Result]
each_solver = pytest.mark.parametrize("solver", [gmres, bicgstab], ids=lambda solver: solver.__name__)


def shifted(generator: np.random.Generator, n: int, dtype: str) -> np.ndarray:
    """Return a matrix with eigenvalues in a disc around 3, of radius 1 at most: not self-adjoint, far from singular."""
    entries = generator.standard_normal((n, n))
    if dtype == "complex128":
        entries = entries + 1j * generator.standard_normal((n, n))
    return 3 * np.eye(n) + entries / np.linalg.norm(entries, 2)


@each_solver
@given(
    n=st.integers(1, 8),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    weighted=st.booleans(),
    start=st.booleans(),
)
def test_any_square_system(solver: Solver, n: int, seed: int, dtype: str, weighted: bool, start: bool) -> None:
    """The solution is found, whatever the weights."""
    generator = np.random.default_rng(seed)
    X: Space = Euclidean(n, dtype)
    if weighted:
        X = Weighted(X, generator.uniform(0.5, 2, n))
    A, b = Matrix(shifted(generator, n, dtype), X, X), X.normal(seed)
    result = solver(A, b, x0=X.normal((seed, 1)) if start else None, tolerance=1e-11)
    assert result, result
    # |A^-1| is 1/2 at most, in Euclidean norms; weights make twice that.
    assert X.norm(result.x - np.linalg.solve(A.entries, b)) <= 1.01e-11 * X.norm(b)
    assert X.norm(b - A(result.x)) <= 1.01e-11 * X.norm(b)


@each_solver
def test_same_steps_as_scipy(solver: Solver) -> None:
    """On a Euclidean space, after as many steps the iterate is scipy's, with and without a preconditioner."""
    generator = np.random.default_rng(0)
    n = 40
    a, b = shifted(generator, n, "float64"), generator.standard_normal(n)
    # scipy's gmres preconditions on the left; on the right, it is gmres for A M.
    for steps in (1, 3, 6):
        ours = solver(Matrix(a), b, iterations=steps, tolerance=0.0)
        if solver is gmres:
            theirs, _ = scipy.sparse.linalg.gmres(a, b, rtol=0.0, restart=steps, maxiter=1)
        else:
            theirs, _ = scipy.sparse.linalg.bicgstab(a, b, rtol=0.0, maxiter=steps)
        np.testing.assert_allclose(ours.x, theirs, rtol=0, atol=1e-12 * np.linalg.norm(theirs))
        assert ours.residuals[-1] == pytest.approx(np.linalg.norm(b - a @ ours.x), rel=1e-8)


def test_restarts() -> None:
    """After a restart the residual goes on from where it was, and still decreases."""
    generator = np.random.default_rng(1)
    a, b = shifted(generator, 60, "float64"), generator.standard_normal(60)
    result = gmres(Matrix(a), b, restart=3, tolerance=1e-10)
    assert result
    assert result.iterations > 6
    assert np.all(np.diff(result.residuals) <= 1e-12 * result.residuals[0])
    # Restarted, it is a product of minimisers over three steps each.
    x = np.zeros(60)
    for k in (1, 2, 3):
        theirs, _ = scipy.sparse.linalg.gmres(a, b, x0=x, rtol=0.0, restart=3, maxiter=1)
        ours = gmres(Matrix(a), b, restart=3, iterations=3 * k, tolerance=0.0)
        np.testing.assert_allclose(ours.x, theirs, atol=1e-12 * np.linalg.norm(theirs))
        x = theirs


def test_as_many_steps_as_unknowns() -> None:
    """A cyclic shift gives no progress at all up to step n, when everything is solved."""
    n = 12
    result = gmres(Matrix(np.roll(np.eye(n), 1, axis=0)), np.eye(n)[0], tolerance=1e-12)
    assert result
    assert result.iterations == n
    np.testing.assert_allclose(result.residuals[:-1], 1.0, rtol=1e-14)
    np.testing.assert_allclose(result.x, np.eye(n)[-1], atol=1e-14)


@each_solver
def test_singular_operators(solver: Solver) -> None:
    """Where there is no solution, the method ends, with a reason; where there is one, it is found."""
    result = solver(Matrix([[1.0, 0.0], [0.0, 0.0]]), np.array([1.0, 1.0]), iterations=50)
    assert not result
    assert result.reason.startswith(("breakdown", "the number of iterations is used up"))
    assert np.all(np.isfinite(result.x))
    consistent = solver(Matrix([[2.0, 0.0], [0.0, 0.0]]), np.array([1.0, 0.0]))
    assert consistent
    assert consistent.x.tolist() == [0.5, 0.0]
    nothing = solver(Zero(Euclidean(2), Euclidean(2)), np.ones(2))
    assert not nothing
    assert nothing.reason.startswith("breakdown: ")


@each_solver
def test_real_spaces_of_complex_arrays(solver: Solver) -> None:
    """A map that is linear over the reals only is inverted in the real space."""
    X = Euclidean(3, complex, field="real")
    A = FunctionOperator(X, X, lambda x: 3 * x + x.conj(), lambda y: 3 * y + y.conj())
    result = solver(A, np.array([4.0 + 2j, 8j, -4.0]), tolerance=1e-12)
    assert result
    np.testing.assert_allclose(result.x, [1 + 1j, 4j, -1], atol=1e-11)


@each_solver
def test_products(solver: Solver) -> None:
    """Vectors may be tuples."""
    X = Product(Euclidean(2), Weighted(Euclidean(1), 2.0))
    A = BlockDiagonal(Matrix([[1.0, 2.0], [-1.0, 1.0]]), Diagonal([2.0], X.parts[1]))
    result = solver(A, (np.array([5.0, 1.0]), np.array([4.0])), tolerance=1e-12)
    assert result
    np.testing.assert_allclose(result.x[0], [1.0, 2.0], atol=1e-10)
    np.testing.assert_allclose(result.x[1], [2.0], atol=1e-10)


@each_solver
@pytest.mark.parametrize("number", [0, -1, 2.5, None])
def test_errors(solver: Solver, number: Any) -> None:
    """What cannot be is refused by name."""
    tall = VStack(Matrix(np.eye(2)), Matrix(np.eye(2)))
    with pytest.raises(SpaceError, match=f"{solver.__name__} with .*from a space to itself"):
        solver(tall, (np.ones(2), np.ones(2)))
    if solver is gmres:
        with pytest.raises((ValueError, TypeError), match=rf"gmres: expected restart to be .*found {number}"):
            gmres(Matrix(np.eye(2)), np.ones(2), restart=number)
