"""The queries' random numbers are their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Matrix
from linop.queries.eigenvalues import eigenvalue_bounds
from linop.queries.seeds import stream

pytestmark = pytest.mark.serial

SEEDS = st.one_of(st.integers(0, 2**64), st.lists(st.integers(0, 2**32), min_size=1, max_size=3).map(tuple))


@given(SEEDS, st.integers(1, 9))
def test_streams(seed: int | tuple[int, ...], k: int) -> None:
    """The same seed gives the same numbers, and none of those that the seed itself or another stream gives."""

    def numbers(seed: int | tuple[int, ...]) -> list[float]:
        return np.random.default_rng(seed).normal(size=3).tolist()

    assert numbers(stream(seed)) == numbers(stream(seed))
    assert numbers(stream(seed)) != numbers(seed)
    assert numbers(stream(seed)) != numbers(stream(seed, k))


def test_matrices_from_the_same_seed() -> None:
    """A start that were the first row of the matrix would never see its kernel."""
    A = Matrix(np.random.default_rng(0).standard_normal((2, 3)))
    lowest, _ = eigenvalue_bounds(A.H @ A)
    assert abs(lowest) < 1e-7
