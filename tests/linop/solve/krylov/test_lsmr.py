"""LSMR takes scipy's steps, and |A.H r| falls; see also test_cgls.py, which tests all three solvers."""

import numpy as np
import pytest
import scipy.sparse.linalg

from linop import Euclidean, Matrix, Weighted
from linop.solve import lsmr, lsqr

pytestmark = pytest.mark.serial

GENERATOR = np.random.default_rng(0)
ENTRIES, B, X0 = GENERATOR.standard_normal((50, 20)), GENERATOR.standard_normal(50), GENERATOR.standard_normal(20)
CONDITION = np.linalg.cond(ENTRIES)


@pytest.mark.parametrize("damp", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_same_iterates_as_scipy(damp: float, steps: int) -> None:
    """After k steps, x and the norm of the residual are scipy's, to rounding."""
    result = lsmr(Matrix(ENTRIES), B, damp=damp, tolerance=0.0, iterations=steps)
    x, _, taken, norm, *_ = scipy.sparse.linalg.lsmr(
        ENTRIES, B, damp=damp, atol=0.0, btol=0.0, conlim=0.0, maxiter=steps
    )
    assert result.iterations == taken == steps
    close = steps * 50 * CONDITION * np.finfo(float).eps  # roundings of a step, amplified by the condition number
    assert np.linalg.norm(result.x - x) <= close * np.linalg.norm(x)
    assert result.residuals[-1] == pytest.approx(norm, rel=close)


def test_from_a_start_as_scipy() -> None:
    """From x0, without damping, the iterates are scipy's."""
    result = lsmr(Matrix(ENTRIES), B, x0=X0, tolerance=0.0, iterations=6)
    x = scipy.sparse.linalg.lsmr(ENTRIES, B, x0=X0, atol=0.0, btol=0.0, conlim=0.0, maxiter=6)[0]
    np.testing.assert_allclose(result.x, x, rtol=6 * 50 * CONDITION * np.finfo(float).eps * 10)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("damp", [0.0, 1.0])
def test_the_normal_residual_falls(weights: bool, damp: float) -> None:
    """From step to step |A.H r - damp^2 x| falls, and is at most LSQR's in the same step, in the norm of X."""
    X, Y = Euclidean(20), Euclidean(50)
    if weights:
        X, Y = Weighted(X, np.linspace(1, 3, 20)), Weighted(Y, np.linspace(2, 1, 50))
    A = Matrix(ENTRIES, X, Y)

    def normal(x: np.ndarray) -> float:
        return float(X.norm(A.H(B - A(x)) - damp**2 * x))

    ours: list[float] = []
    other: list[float] = []
    lsmr(A, B, damp=damp, iterations=15, tolerance=0.0, callback=lambda state: ours.append(normal(state.x)))
    lsqr(A, B, damp=damp, iterations=15, tolerance=0.0, callback=lambda state: other.append(normal(state.x)))
    start = normal(np.zeros(20))
    assert np.all(np.diff([start, *ours]) <= 1e-13 * start)
    assert np.all(np.array(ours) <= np.array(other) + 1e-13 * start)
    assert ours[-1] < 1e-2 * start
