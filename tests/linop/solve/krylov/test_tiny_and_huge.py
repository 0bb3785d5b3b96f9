"""Right-hand sides whose squares are no numbers are solved for like others."""

from typing import Any

import numpy as np
import pytest

from linop import Euclidean, Matrix, Product, Weighted
from linop.solve import box, cg, cgls, fista, group_ball, group_threshold, ista, lsmr, lsqr, minres
from linop.solve.proximal.groups import lengths

pytestmark = pytest.mark.serial

A = Matrix(np.diag([1.0, 2.0, 3.0]))
SIZES = [1e-310, 1e-300, 1e-200, 1e-170, 1e-155, 1e155, 1e170, 1e200, 1e300]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("solver", [cg, minres, cgls, lsqr, lsmr, ista, fista])
def test_solutions(solver: Any, size: float) -> None:
    """It converges to the solution, and tells true residuals; a start and a callback are in the same unit."""
    b, steps = size * np.ones(3), list[Any]()
    more = (box(-np.inf),) if solver in (ista, fista) else ()
    options = {"x0": 0.5 * b, "callback": lambda state: steps.append(state.x.copy())}
    for given in ({}, options):
        result = solver(A, b, *more, **given)
        assert result
        # A's smallest entry is one; a relative residual of 1e-6 is an error of no more, for three entries
        np.testing.assert_allclose(result.x / size, [1, 1 / 2, 1 / 3], atol=2e-5, rtol=0)
        assert result.residuals[-1] <= 1e-5 * size * np.sqrt(3)
    assert 0.1 <= steps[-1][0] / size <= 10


@pytest.mark.parametrize("size", SIZES)
def test_norms(size: float) -> None:
    """The norm of a multiple is that multiple of the norm, in all spaces, for batches, and zero of zero only."""
    X = Euclidean(3)
    for space, x in (
        (X, np.array([3.0, 0.0, 4.0])),
        (Weighted(X, 4.0), np.array([1.5, 0.0, 2.0])),
        (Product(X, X), (np.array([3.0, 0.0, 0.0]), np.array([4.0, 0.0, 0.0]))),
    ):
        scaled = tuple(size * part for part in x) if isinstance(x, tuple) else size * x
        assert space.norm(scaled) == pytest.approx(5 * size, rel=1e-12)
    batch = X.norm(np.array([[3 * size, 4 * size, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(batch, [5 * size, 0.0, 1.0], rtol=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-170, 1e155, 1e200])
def test_groups(size: float) -> None:
    """Proximal maps of groups scale with their arguments, also where squares are lost; zeros stay what they are."""
    for x, axis in (
        ((np.array([3.0, 0.0, 6.0]), np.array([4.0, 0.0, 8.0])), None),
        (np.array([[3.0, 0.0, 6.0], [4.0, 0.0, 8.0]]), 0),
        (np.array([[3.0j, 4.0], [0.0, 0.0], [6.0, 8.0j]]), 1),
    ):
        scaled = tuple(size * part for part in x) if isinstance(x, tuple) else size * x
        np.testing.assert_allclose(np.ravel(lengths(scaled, axis)) / size, [5.0, 0.0, 10.0], rtol=1e-14)
        for make in (group_threshold, group_ball):
            mapped, expected = make(6.0 * size, axis)(scaled, 1.0), make(6.0, axis)(x, 1.0)
            for found, right in zip(np.asarray(mapped), np.asarray(expected), strict=True):
                np.testing.assert_allclose(found / size, right, rtol=1e-13, atol=1e-15)


def test_groups_of_single_precision() -> None:
    """In single precision, squares are lost much earlier; lengths are not."""
    x = (np.array([3e-30, 3e25, 0.0], np.float32), np.array([4e-30, 4e25, 0.0], np.float32))
    found = lengths(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.array([5e-30, 5e25, 0.0], np.float32), rtol=1e-6)
