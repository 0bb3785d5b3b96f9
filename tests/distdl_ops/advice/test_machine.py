"""The alpha-beta model: seconds are what the constants say, and can be measured."""

import math

import numpy as np
import pytest

from distdl_ops import (
    Copies,
    DistributedSpace,
    Grid,
    HaloExchange,
    Local,
    Machine,
    Movement,
    Replicated,
    Split,
    World,
    calibrate,
)
from distdl_ops.advice.cost import ParallelCost
from distdl_ops.advice.movement_cost import movement_cost
from distdl_ops.layouts.layout import Layout
from distdl_ops.testing import on_ranks
from linop import Cost, Diagonal, Euclidean, cost, simplify


def test_seconds_are_linear(ranks: int) -> None:
    """Seconds of an expression are the constants times its cost, and add up along products."""
    machine = Machine(alpha=3.0, beta=5.0, gamma=7.0, delta=11.0)
    assert machine.seconds(ParallelCost(flops=1, bytes=2, messages=3, sent=4)) == 9 + 20 + 7 + 22
    assert machine.seconds(Cost(flops=1, bytes=2)) == 7 + 22

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=world.size), (6, 4), p=Split(0))
        H = HaloExchange(S, {0: (1, 1)})
        assert machine.seconds(H.H @ H) == machine.seconds(H.H) + machine.seconds(H) == machine.seconds(cost(H.H @ H))

    on_ranks(ranks, main)


def test_the_defaults_are_the_weights_of_simplify() -> None:
    """Seconds by default are in the proportions of the time that simplify compares."""
    for found in (ParallelCost(1, 2, 3, 4), ParallelCost(5, 0, 0, 0), ParallelCost(messages=1), ParallelCost(sent=1)):
        # Five products and three sums of numbers that are not negative, each rounded once.
        assert math.isclose(Machine().seconds(found), found.time * Machine().gamma, rel_tol=8 * 2**-53)


def test_a_machine_may_object(ranks: int) -> None:
    """An all-gather after a reduce-scatter is one all-reduce, unless the machine finds that dearer."""

    def main(world: World) -> tuple[str, ...]:
        S = DistributedSpace(Grid(world, p=world.size), (8, 8), p=Split(0))
        C = S.with_roles(p=Copies())
        A = Movement(S, C) @ Local(S, S, Diagonal(np.full(S.shape, 2.0), Euclidean(S.shape))) @ Movement(C, S)
        messages, arithmetic = Machine(1, 0, 0, 0), Machine(0, 0, 1, 0)
        return tuple(str(simplify(A, by=machine.seconds)) for machine in (Machine(), messages, arithmetic))

    fused, apart = "2 * AllSumReduce(p)", "AllGather(p) @ Local(Diagonal) @ ReduceScatter(p)"
    for default, messages, arithmetic in on_ranks(ranks, main):
        assert (default, messages) == (fused, fused)
        assert arithmetic == (fused if ranks == 1 else apart)  # each rank adds up its own part only


def test_calibration(ranks: int) -> None:
    """All ranks get the same machine; its constants are positive, and defaults where nothing can be measured."""

    def main(world: World) -> Machine:
        return calibrate(world, size=2**16, repeats=3)

    machines = on_ranks(ranks, main)
    assert len(set(machines)) == 1
    (machine,) = set(machines)
    assert min(machine.alpha, machine.gamma, machine.delta) > 0
    assert machine.beta >= 0
    if ranks == 1:
        assert (machine.alpha, machine.beta) == (Machine().alpha, Machine().beta)


def test_latency_tells_small_from_large() -> None:
    """An all-reduce of one number takes its messages; of a million, its bytes."""
    machine = Machine(alpha=1e-6, beta=1e-9, gamma=0, delta=0)

    def seconds(ranks: int, n: int) -> float:
        C, R = (Layout({"p": ranks}, (n,), {"p": role}) for role in (Copies(), Replicated()))
        return machine.seconds(movement_cost(C, R, 8))

    assert seconds(8, 1) == pytest.approx(3e-6 + 24e-9)  # three messages of eight bytes
    assert seconds(8, 10**6) == pytest.approx(6e-6 + 14e-3)  # two halves of seven eighths
    assert seconds(4, 1) == pytest.approx(3e-6 + 24e-9)  # few ranks exchange what they have
