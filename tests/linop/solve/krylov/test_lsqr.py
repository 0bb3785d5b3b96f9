"""LSQR takes scipy's steps, and its bidiagonalisation is one; see also test_cgls.py, which tests all three solvers."""

import itertools

import numpy as np
import pytest
import scipy.sparse.linalg

from linop import Euclidean, Matrix, Weighted
from linop.solve import State, lsqr
from linop.solve.krylov.lsqr import bidiagonalise

pytestmark = pytest.mark.serial

GENERATOR = np.random.default_rng(0)
ENTRIES, B, X0 = GENERATOR.standard_normal((50, 20)), GENERATOR.standard_normal(50), GENERATOR.standard_normal(20)
CONDITION = np.linalg.cond(ENTRIES)


@pytest.mark.parametrize("damp", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_same_iterates_as_scipy(damp: float, steps: int) -> None:
    """After k steps, x and the norms of the residual are scipy's, to rounding."""
    states: list[State] = []
    result = lsqr(Matrix(ENTRIES), B, damp=damp, tolerance=0.0, iterations=steps, callback=states.append)
    x, _, taken, _, damped, *_ = scipy.sparse.linalg.lsqr(
        ENTRIES, B, damp=damp, atol=0.0, btol=0.0, conlim=0.0, iter_lim=steps
    )
    assert result.iterations == taken == steps
    close = steps * 50 * CONDITION * np.finfo(float).eps  # roundings of a step, amplified by the condition number
    assert np.linalg.norm(result.x - x) <= close * np.linalg.norm(x)
    assert result.residuals[-1] == pytest.approx(damped, rel=close)


def test_from_a_start_as_scipy() -> None:
    """From x0, without damping, the iterates are scipy's."""
    result = lsqr(Matrix(ENTRIES), B, x0=X0, tolerance=0.0, iterations=6)
    x = scipy.sparse.linalg.lsqr(ENTRIES, B, x0=X0, atol=0.0, btol=0.0, conlim=0.0, iter_lim=6)[0]
    np.testing.assert_allclose(result.x, x, rtol=6 * 50 * CONDITION * np.finfo(float).eps * 10)


def test_complex_as_scipy() -> None:
    """Complex numbers too: the scalars of the recurrence stay real."""
    generator = np.random.default_rng(1)
    entries = generator.standard_normal((12, 8)) + 1j * generator.standard_normal((12, 8))
    b = generator.standard_normal(12) + 1j * generator.standard_normal(12)
    result = lsqr(Matrix(entries), b, tolerance=0.0, iterations=5)
    x = scipy.sparse.linalg.lsqr(entries, b, atol=0.0, btol=0.0, conlim=0.0, iter_lim=5)[0]
    close = 5 * 12 * np.linalg.cond(entries) * np.finfo(float).eps * 10
    np.testing.assert_allclose(result.x, x, rtol=close)


@pytest.mark.parametrize("weights", [False, True])
def test_bidiagonalisation(weights: bool) -> None:
    """With U and V, A is bidiagonal: B = inner(U, A V), in the inner products of the two spaces."""
    generator = np.random.default_rng(2)
    X, Y = Euclidean(4), Euclidean(6)
    if weights:
        X, Y = Weighted(X, [1.0, 2.0, 0.5, 3.0]), Weighted(Y, 2.0)
    A, r = Matrix(generator.standard_normal((6, 4)), X, Y), generator.standard_normal(6)
    betas, alphas, vectors = zip(*itertools.islice(bidiagonalise(A, r), 4), strict=True)
    assert betas[0] == pytest.approx(Y.norm(r), rel=1e-15)
    # A few hundred roundings, in a basis that loses its orthogonality in four steps by cond(A) < 100 at most.
    for i, j in itertools.product(range(4), repeat=2):
        assert X.inner(vectors[i], vectors[j]) == pytest.approx(float(i == j), abs=1e-12)
        entry = Y.inner(A(vectors[i]), A(vectors[j]))  # B^T B, tridiagonal
        expected = {0: alphas[i] ** 2, 1: alphas[max(i, j)] * betas[max(i, j)]}.get(abs(i - j), 0.0)
        if i == j and i < 3:
            expected += betas[i + 1] ** 2
        if i == j == 3:
            continue  # needs beta_5
        assert entry == pytest.approx(expected, abs=1e-11)
