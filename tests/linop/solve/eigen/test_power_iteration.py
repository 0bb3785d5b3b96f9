"""Power iteration finds the largest absolute eigenvalue of self-adjoint operators, and norms of all."""

from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import Diagonal, Euclidean, FunctionOperator, Identity, Matrix, Product, SpaceError, Weighted, Zero, matrix
from linop.solve import power_iteration
from linop.solve.eigen.power_iteration import RESIDUAL
from linop.solve.loop import CALLBACK, NOT_FINITE, USED_UP

pytestmark = pytest.mark.serial

TOLERANCE = 1e-5


@given(
    seed=st.integers(0, 2**16),
    eigenvalues=st.sampled_from([[3.0, 1.0, -2.0], [-5.0, 2.0, 2.0, 1.0], [0.5], [-1.0, 0.0]]),
    dtype=st.sampled_from(["float64", "complex128"]),
    weighted=st.booleans(),
)
def test_largest_absolute_eigenvalue(seed: int, eigenvalues: list[float], dtype: str, weighted: bool) -> None:
    """The first of these eigenvalues is found with its sign, and a vector of length one in its eigenspace."""
    n, generator = len(eigenvalues), np.random.default_rng(seed)
    X: Any = Euclidean(n, dtype)
    weight = generator.uniform(0.5, 2, n) if weighted else np.ones(n)
    X = Weighted(X, weight) if weighted else X
    q = np.linalg.qr(X.normal((seed, 1), (n,)) if n > 1 else np.ones((1, 1), dtype))[0] if n > 1 else np.ones((1, 1))
    root = np.sqrt(weight)
    a = (q * np.array(eigenvalues) @ q.conj().T) * root / root[:, None]
    A = Matrix(a.astype(dtype), X, X)
    result = power_iteration(A, seed=seed, tolerance=TOLERANCE)
    assert result, result
    assert result.reason == RESIDUAL
    (value,) = result.values
    size = abs(eigenvalues[0])
    # An eigenvalue lies within the residual, 1e-5 |theta|. Squared, over the gap (a quarter at least), is its error.
    assert abs(value - eigenvalues[0]) <= (4 * TOLERANCE**2 + 1e-13) * size
    assert X.norm(result.x) == pytest.approx(1.0, rel=1e-14)
    assert X.norm(A(result.x) - value * result.x) <= TOLERANCE * size * (1 + 1e-9)
    assert result.residuals[-1] <= TOLERANCE * size * (1 + 1e-9)
    assert len(result.residuals) == result.iterations + 1


@given(rows=st.integers(1, 5), columns=st.integers(1, 5), seed=st.integers(0, 2**16), weighted=st.booleans())
def test_largest_singular_value(rows: int, columns: int, seed: int, weighted: bool) -> None:
    """It is the norm of A between the two spaces, and x is a vector that A makes so much longer."""
    generator = np.random.default_rng(seed)
    u, s, vh = np.linalg.svd(generator.standard_normal((rows, columns)), full_matrices=False)
    s = np.concatenate([[2.0], s[1:] / s[0]])  # a gap
    wx, wy = generator.uniform(0.5, 2, columns), generator.uniform(0.5, 2, rows)
    X, Y = Euclidean(columns), Euclidean(rows)
    if weighted:
        X, Y = Weighted(X, wx), Weighted(Y, wy)
        u, vh = u / np.sqrt(wy)[:, None], vh * np.sqrt(wx)
    A = Matrix(u * s @ vh, X, Y)
    result = power_iteration(A, singular=True, tolerance=TOLERANCE)
    assert result, result
    assert result.values[0] == pytest.approx(2.0, rel=TOLERANCE**2 * 4 + 1e-13)
    assert Y.norm(A(result.x)) == pytest.approx(2.0, rel=TOLERANCE**2 * 4 + 1e-13)


@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_the_tolerance_is_relative(size: float) -> None:
    """A multiple of an operator takes as many steps; an absolute tolerance holds as it is."""
    A = Diagonal([4.0, 3.0, 1.0])
    assert power_iteration(size * A).iterations == power_iteration(A).iterations
    result = power_iteration(size * A, tolerance=0.0, absolute=0.1 * size)
    assert result
    assert result.residuals[-1] <= 0.1 * size < result.residuals[-2]


def test_steps_until_the_end() -> None:
    """Eigenvalues that differ in sign only do not converge, and the result says so; a callback stops earlier."""
    A = Diagonal([1.0, -1.0])
    result = power_iteration(A, iterations=50)
    assert (result.converged, result.reason, result.iterations) == (False, USED_UP, 50)
    stopped = power_iteration(A, callback=lambda state: state.iteration == 3 and len(state.values) == 1)
    assert (stopped.converged, stopped.reason, stopped.iterations) == (False, CALLBACK, 3)


def test_operators_that_take_the_start_to_zero() -> None:
    """Of the zero operator, zero is the eigenvalue; no vector is divided by its length."""
    result = power_iteration(Zero(Euclidean(3), Euclidean(3)))
    assert (result.converged, result.values, result.iterations) == (True, (0.0,), 0)
    assert power_iteration(Zero(Euclidean(2), Euclidean(3)), singular=True).values == (0.0,)


def test_not_finite() -> None:
    """An operator that overflows ends in a breakdown; one whose squares would does not."""
    assert power_iteration(Diagonal([1e300, 1e200])).values == (pytest.approx(1e300),)
    X = Euclidean(2)
    result = power_iteration(FunctionOperator(X, X, lambda x: np.inf * x, lambda y: np.inf * y))
    assert (result.converged, result.reason) == (False, NOT_FINITE)


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "array_api_strict"])
def test_any_array_library(xp: Any) -> None:
    """From a start, or like a vector, the iteration stays in the library and precision."""
    A = Matrix([[2.0, 1.0], [1.0, 3.0]])
    largest = (5 + np.sqrt(5)) / 2
    for vector in (xp.asarray(np.ones(2, np.float32)), xp.asarray(np.ones(2))):
        for where in ({"start": vector}, {"like": vector}):
            result = power_iteration(A, tolerance=1e-4, **where)
            assert result
            assert type(result.x) is type(vector)
            assert result.x.dtype == vector.dtype
            assert result.values[0] == pytest.approx(largest, rel=1e-6)  # rounding in single precision


def test_products() -> None:
    """The eigenvector of a product is a tuple."""
    from linop import FunctionOperator

    X = Product(Euclidean(2), Weighted(Euclidean(1), 3.0))
    A = FunctionOperator(X, X, lambda x: (x[0], 4 * x[1]), lambda x: (x[0], 4 * x[1]))
    result = power_iteration(A)
    assert result
    assert result.values[0] == pytest.approx(4.0, rel=1e-11)
    assert abs(result.x[1][0]) == pytest.approx(1 / np.sqrt(3), rel=1e-11)


def test_across_ranks() -> None:
    """The norm of a halo exchange is the root of how many ranks see an entry; all ranks have the same history."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
        H = HaloExchange(S, {0: (3, 3)})
        result = power_iteration(H, singular=True, tolerance=1e-6)
        return result.values, result.residuals, matrix(H)

    answers = simulate(3, main)
    values, residuals, dense = answers[0]
    assert values[0] == pytest.approx(np.linalg.norm(dense, 2), rel=1e-10)
    assert all(answer[:2] == (values, residuals) for answer in answers)


def test_errors() -> None:
    """A start that is zero or of another space, and operators between two spaces, are refused by name."""
    with pytest.raises(SpaceError, match=r"power_iteration with Matrix\(1x2\).*from a space to itself"):
        power_iteration(Matrix([[1.0, 2.0]]))
    with pytest.raises(ValueError, match=r"power_iteration with Identity.*not zero, found length 0\.0"):
        power_iteration(Identity(Euclidean(2)), start=np.zeros(2))
    with pytest.raises(ValueError, match=r"found length 0\.0"):
        power_iteration(Identity(Euclidean(0)))
    with pytest.raises(SpaceError, match=r"Identity.*found shape \(3,\)"):
        power_iteration(Identity(Euclidean(2)), start=np.ones(3))
    with pytest.raises(SpaceError, match=r"one vector for start, found batch axes \(2,\)"):
        power_iteration(Identity(Euclidean(3)), start=np.ones((2, 3)))
    with pytest.raises(ValueError, match="tolerance"):
        power_iteration(Identity(Euclidean(2)), tolerance=-1)


def test_the_start_is_left_alone() -> None:
    """It is neither changed nor aliased, also where it is an eigenvector of length one."""
    start = np.array([1.0, 0.0])
    result = power_iteration(Diagonal([2.0, 1.0]), start=start)
    assert result.iterations == 0
    assert not np.shares_memory(result.x, start)
    assert start.tolist() == [1.0, 0.0]
