"""The random vectors that solvers start from do not depend on how a space is spread over processes."""

from typing import Any

import numpy as np
import pytest
import torch

from distdl_ops import (
    At,
    Copies,
    DistributedFiniteDifference,
    DistributedSpace,
    Grid,
    HaloExchange,
    Replicated,
    Split,
    World,
    simulate,
)
from linop import Euclidean, FiniteDifference, Product, Weighted
from linop.solve import power_iteration
from linop.solve.loop import random

pytestmark = pytest.mark.serial


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_same_however_it_is_spread(dtype: str) -> None:
    """Whatever the roles, each rank's part is that of the vector in one process."""
    whole = random(Euclidean((5, 4), dtype), 3)

    def main(world: World) -> Any:
        grid = Grid(world, a=2, b=2)
        for roles in (
            {"a": Split(0), "b": Split(1)},
            {"a": Split(1), "b": Copies()},
            {"a": Replicated(), "b": Split(0)},
            {"a": At(1), "b": Replicated()},
        ):
            S = DistributedSpace(grid, (5, 4), dtype, **roles)
            np.testing.assert_array_equal(random(S, 3), S.from_global(whole))
        H = HaloExchange(DistributedSpace(grid, (5, 4), dtype, a=Split(0), b=Split(1)), {0: (1, 2)}).codomain
        np.testing.assert_array_equal(random(H, 3), H.from_global(whole))
        return True

    assert all(simulate(4, main))


def test_parts_and_seeds_are_independent() -> None:
    """Parts of a product, seeds, and the two parts of complex entries are uniform and have nothing in common."""
    n = 10_000
    X = Euclidean(n)
    first, second = random(Product(X, Weighted(X, 2.0)), 0)
    third, fourth = random(X, 1), random(Euclidean(n, complex), 0)
    vectors = np.stack([first, second, third, fourth.real, fourth.imag])
    assert np.all(np.abs(vectors) < 1)
    # Means and correlations of n uniform numbers: a standard deviation of 1 / sqrt(3 n), 1 / (3 sqrt(n)); six of them.
    assert np.all(np.abs(vectors.mean(axis=1)) < 6 / np.sqrt(3 * n))
    products = vectors @ vectors.T / n
    np.testing.assert_allclose(np.diag(products), 1 / 3, atol=6 * 0.3 / np.sqrt(n))
    assert np.all(np.abs(products - np.diag(np.diag(products))) < 6 / (3 * np.sqrt(n)))
    assert np.abs(np.mean(first[1:] * first[:-1])) < 6 / (3 * np.sqrt(n))


def test_library_and_precision() -> None:
    """They are those of another vector."""
    x = random(Euclidean(3), 0, torch.zeros(1, dtype=torch.float32))
    assert x.dtype == torch.float32
    np.testing.assert_array_equal(x.numpy(), random(Euclidean(3), 0).astype(np.float32))


def test_estimates_are_those_in_one_process() -> None:
    """A norm that has not converged is the same on any number of ranks, to rounding: steps of solvers are."""
    alone = power_iteration(FiniteDifference(Euclidean(50)), singular=True, iterations=7).values[0]

    def main(world: World) -> float:
        S = DistributedSpace(Grid(world, p=world.size), (50,), p=Split(0))
        return power_iteration(DistributedFiniteDifference(S), singular=True, iterations=7).values[0]

    for ranks in (1, 2, 4):
        for value in simulate(ranks, main):
            assert value == pytest.approx(alone, rel=1e-13)
