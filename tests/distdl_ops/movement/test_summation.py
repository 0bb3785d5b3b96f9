"""The sum of a flat vector over the ranks of a line, by the exchanges that its size and the ranks' hosts ask for."""

from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from distdl_ops import World, simulate
from distdl_ops.movement import summation
from distdl_ops.movement.summation import Summation, steps_of_sum
from distdl_ops.testing import on_ranks

hosts = (
    st.integers(1, 6)
    .flatmap(lambda n: st.lists(st.integers(0, 3), min_size=n, max_size=n))
    .map(lambda names: tuple(list(dict.fromkeys(names)).index(name) for name in names))
)
"""The hosts of up to six ranks, in any order, numbered as they come."""


@pytest.mark.serial
@given(hosts, st.integers(0, 40), st.sampled_from(["float64", "float32", "float16", "complex128"]))
def test_the_sum_on_every_rank(hosts: tuple[int, ...], entries: int, dtype: str) -> None:
    """It is the same exact sum on every rank, whatever the hosts."""

    def main(world: World) -> np.ndarray:
        world.simulation.hosts = hosts  # type: ignore[attr-defined]
        x = np.arange(entries).astype(dtype) + world.rank
        return Summation(entries, x.itemsize, world).run(x, "a sum")

    p = len(hosts)
    with mock.patch.object(summation, "SMALL", 20), mock.patch.object(summation, "FEW", 2):
        steps_of_sum.cache_clear()
        for total in simulate(p, main):
            assert total.dtype == dtype
            assert np.array_equal(total, (p * np.arange(entries) + p * (p - 1) // 2).astype(dtype))
    steps_of_sum.cache_clear()


def test_on_the_ranks_of_a_job(ranks: int) -> None:
    """So it is on real processes, where several sums are under way at once and take their steps in turn."""

    def main(world: World) -> list[float]:
        sums = [Summation(5000, 8, world).start(np.full(5000, 10.0**k + world.rank), f"sum {k}") for k in range(3)]
        for one in reversed(sums):
            one.advance()
        return [float(one.finish().max()) for one in sums]

    more = ranks * (ranks - 1) / 2
    assert on_ranks(ranks, main) == [[ranks * 10.0**k + more for k in range(3)]] * ranks


def crossing(hosts: tuple[int, ...], entries: int) -> int:
    """Return the entries that leave the first host."""

    def main(world: World) -> int:
        sent = 0
        for source, target in steps_of_sum(entries, 8, hosts, world.rank):
            plan = summation.Plan(source, target, world.rank)
            sent += sum(piece.volume for piece in plan._outgoing if hosts[piece.rank] != hosts[world.rank])
        return sent if hosts[world.rank] == hosts[0] else 0

    return sum(simulate(len(hosts), main))


@pytest.mark.serial
@pytest.mark.parametrize("each", [1, 2, 3])
def test_what_is_large_crosses_the_link_once(each: int) -> None:
    """Between two hosts, each sends as many entries as the vector has, however many ranks it runs."""
    assert crossing((0,) * each + (1,) * each, 6000) == 6000


@pytest.mark.serial
def test_more_hosts() -> None:
    """Of h hosts, each sends 2 (h - 1) / h times the vector: the least that a sum takes."""
    assert crossing((0, 0, 1, 1, 2, 2), 6000) == 8000


@pytest.mark.parametrize(
    ("entries", "hosts", "steps"),
    [
        (10, (0, 0, 1, 1), 1),
        (10**6, (0, 0, 0, 0), 1),
        (10**6, (0,) * 8, 2),
        (10**6, (0, 0, 1, 1), 3),
        (10**6, (0, 0, 1), 2),
    ],
)
def test_the_choice(entries: int, hosts: tuple[int, ...], steps: int) -> None:
    """Small vectors go in one step, as do large ones of few ranks on one host; others in two, or on two levels."""
    assert len(steps_of_sum(entries, 8, hosts, 0)) == steps
