"""Gather takes entries by an index and adds them back, in pairs."""

import math
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from linop.operators.indexing.gather import Gather
from linop.testing import DTYPES

pytestmark = pytest.mark.serial


@st.composite
def indices(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Return an index with repeated entries and zeros (-1), and how many entries it may choose from."""
    length = draw(st.integers(0, 5))
    return np.array(draw(st.lists(st.integers(-1, length - 1), max_size=40)), np.int64), length


def taken(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the entries of the last axis one by one."""
    y = np.zeros((*x.shape[:-1], index.size), x.dtype)
    for k, j in enumerate(index):
        if j >= 0:
            y[..., k] = x[..., j]
    return y


def accumulated(y: np.ndarray, index: np.ndarray, length: int) -> np.ndarray:
    """Add the entries of the last axis one by one."""
    x = np.zeros((*y.shape[:-1], length), y.dtype)
    for k, j in enumerate(index):
        if j >= 0:
            x[..., j] += y[..., k]
    return x


def integers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return small integers of a shape and dtype, with imaginary parts where there are any."""
    generator = np.random.default_rng(0)
    found = generator.integers(-9, 10, shape).astype(dtype)
    return found + np.asarray(1j * generator.integers(-9, 10, shape), dtype) if dtype.startswith("c") else found


@given(
    indices(),
    st.sampled_from([(), (2,), (0,), (2, 3)]),
    st.sampled_from([(), (2,), (3, 1), (0,)]),
    st.sampled_from(DTYPES),
    st.sampled_from([np, torch, array_api_strict]),
)
def test_both_ways(case: Any, before: tuple[int, ...], after: tuple[int, ...], dtype: str, xp: Any) -> None:
    """Entries are taken and added along the axis, whatever axes are around it, in every array library, exactly."""
    index, length = case
    gather = Gather(index, length, axis=-1 - len(after))
    for function, twin, n in (
        (gather.take, lambda x: taken(x, index), length),
        (gather.accumulate, lambda y: accumulated(y, index, length), index.size),
    ):
        x = integers((*before, n, *after), dtype)
        given_ = xp.asarray(x.copy())
        found = function(given_)
        assert type(found) is type(given_)
        assert found.dtype == given_.dtype
        np.testing.assert_array_equal(np.from_dlpack(given_), x)
        expected = np.moveaxis(twin(np.moveaxis(x, len(before), -1)), -1, len(before))
        np.testing.assert_array_equal(np.from_dlpack(found), expected)


@given(indices())
def test_results_are_fresh(case: tuple[np.ndarray, int]) -> None:
    """No result shares its memory with the argument, and the operator keeps its index when the array changes."""
    index, length = case
    gather = Gather(index, length)
    x, y = integers((length,), "float64"), integers((index.size,), "float64")
    before = gather.take(x), gather.accumulate(y)
    assert not np.shares_memory(before[0], x)
    assert not np.shares_memory(before[1], y)
    index[:] = -1
    np.testing.assert_array_equal(gather.take(x), before[0])
    np.testing.assert_array_equal(gather.accumulate(y), before[1])


@given(indices())
def test_few_rounds_and_little_work(case: tuple[np.ndarray, int]) -> None:
    """There are ceil(log2(m)) rounds for an entry taken m times, and fewer than 2 N additions for N entries."""
    index, length = case
    gather = Gather(index, length)
    multiplicity = max((int((index == j).sum()) for j in range(length)), default=0)
    assert gather.multiplicity == multiplicity
    assert gather.rounds == (math.ceil(math.log2(multiplicity)) if multiplicity else 0)
    assert gather.additions <= max(2 * index.size - 1, 0)


def test_work_does_not_grow_with_the_rounds() -> None:
    """Entries that are taken once take no part in the rounds that one entry taken often needs."""
    index = np.concatenate([np.arange(1000), np.zeros(1024, int)])
    gather = Gather(index, 1000)
    assert gather.rounds == 11
    assert gather.additions <= 2 * 1025


@pytest.mark.parametrize("exponent", [0.2, 1.0, 8.0])
def test_many_entries(exponent: float) -> None:
    """Large indices, evenly and very unevenly repeated, are added as np.add.at adds them."""
    generator = np.random.default_rng(1)
    index = np.floor(5000 * generator.uniform(size=50_000) ** exponent).astype(int)
    index[generator.integers(0, 50_000, 100)] = -1
    y = generator.integers(-9, 10, 50_000).astype(np.float32)
    expected = np.zeros(5000, np.float32)
    np.add.at(expected, index[index >= 0], y[index >= 0])
    gather = Gather(index, 5000)
    np.testing.assert_array_equal(gather.accumulate(y), expected)
    assert gather.additions < 2 * index.size


def test_only_the_rounds_take_additions() -> None:
    """An index without repetitions is not added at all: what is infinite or not a number stays in its place."""
    gather = Gather(np.array([3, -1, 0]), 4)
    assert gather.rounds == gather.additions == 0
    y = np.array([np.inf, np.nan, -1.0])
    assert gather.accumulate(y).tolist() == [-1, 0, 0, np.inf]


def test_adding_in_pairs_keeps_precision() -> None:
    """The error of a sum of n numbers is at most log2(n) roundings, where adding one by one loses far more."""
    n = 2**16
    gather = Gather(np.zeros(n, int), 1)
    y = np.random.default_rng(0).uniform(0.0, 1.0, n).astype(np.float32)
    exact, unit = math.fsum(y.tolist()), 2.0**-24
    bound = 16 * unit / (1 - 16 * unit) * exact  # Higham 1993, for positive summands
    assert gather.rounds == 16
    assert abs(float(gather.accumulate(y)[0]) - exact) <= bound
    one_by_one = np.float32(0)
    for number in y:
        one_by_one += number
    assert abs(float(one_by_one) - exact) > bound
