"""The solution for a multiple of a right-hand side is the multiple of the solution, however tiny or huge that is."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linop import Matrix
from linop.solve import Result, cg, cgls, lsmr, lsqr, minres

pytestmark = pytest.mark.serial


@pytest.mark.parametrize("solver", [cg, cgls, lsqr, lsmr, minres], ids=lambda solver: solver.__name__)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:underflow")
@given(exponent=st.integers(-1000, 1000), seed=st.integers(0, 999))
@example(exponent=-665, seed=0)  # 1e-200, whose square is zero
def test_multiples_of_a_right_hand_side(solver: Callable[..., Result], exponent: int, seed: int) -> None:
    """A result for tiny or huge numbers is right, or does not say that it has converged."""
    generator = np.random.default_rng(seed)
    root = generator.integers(-2, 3, (5, 5))
    A, b = Matrix(root @ root.T + 5.0 * np.eye(5)), generator.integers(1, 9, 5).astype(float)
    scale = 2.0**exponent
    result = solver(A, scale * b)
    if result:
        solution = np.linalg.solve(A.entries, b)
        np.testing.assert_allclose(result.x / scale, solution, rtol=0, atol=1e-3 * np.linalg.norm(solution))
