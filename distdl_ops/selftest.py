"""A test of the job that this process is part of: the first thing to run on a new cluster.

Every line is one promise: all ranks are here, messages of all sizes arrive, collectives add up, movements and their
adjoints fit, and ranks that disagree get an error, after which the world goes on. What fails ends in an error of ours
on all ranks.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from distdl_ops.grid import Grid
from distdl_ops.layouts.roles import At, Copies, Replicated, Split
from distdl_ops.movement.halo_exchange import HaloExchange
from distdl_ops.movement.movement import Movement
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds.agreement import AgreementError
from distdl_ops.worlds.world import World
from linop import check_adjoint

SIZES = (0, 1, 1_000, 100_000, 4_000_000)
"""Entries of messages: short ones and long ones travel in different ways."""

TURNS = 200
"""How many round trips are timed."""

Test = Callable[[World], str]


def selftest(world: World) -> Iterator[tuple[str, str]]:
    """Test a world; yield what was tested, and what was found. Collective: every rank goes through all of it.

    Parameters
    ----------
    world : World
        Whose ranks take part.

    Raises
    ------
    ArithmeticError
        When a number is wrong; on the rank that has it.
    ProcessError
        When ranks do not come, or do not agree.

    Examples
    --------
    >>> from distdl_ops import simulate
    >>> [name for name, _ in simulate(2, lambda world: list(selftest(world)))[0]][:2]
    ['ranks', 'messages']
    """
    for name, test in TESTS.items():
        yield name, test(world)


def _ranks(world: World) -> str:
    """All ranks are here, each once."""
    found = world.allgather((world.rank, socket.gethostname()), "selftest: ranks")
    _require(world, [rank for rank, _ in found] == list(range(world.size)), f"the ranks are {found}")
    hosts = {host: sum(other == host for _, other in found) for _, host in found}
    return f"{world.size} on {', '.join(f'{host} ({count})' for host, count in hosts.items())}"


def _messages(world: World) -> str:
    """Messages of all sizes arrive whole, around the ring both ways at once."""
    before, after = (world.rank - 1) % world.size, (world.rank + 1) % world.size
    for size in SIZES:
        sent = np.arange(size, dtype=np.float64) + world.rank
        neighbours = sorted({before, after} - {world.rank})
        received = {rank: np.empty(size) for rank in neighbours}
        sends = [(rank, sent) for rank in neighbours]
        world.exchange(sends, list(received.items()), f"selftest: messages of {size} numbers").finish()
        for rank, numbers in received.items():
            right = np.array_equal(numbers, np.arange(size, dtype=np.float64) + rank)
            _require(world, right, f"{size} numbers from rank {rank} are others")
    return f"of {SIZES[0]} to {SIZES[-1]} numbers"


def _collectives(world: World) -> str:
    """Broadcasts, reductions and all-reductions give sums of everyone's numbers."""
    total = sum(range(1, world.size + 1))
    for size in SIZES:
        mine, sums = np.full(size, world.rank + 1.0), np.empty(size)
        world.allreduce(mine, sums, f"selftest: all-reduce of {size}")
        _require(world, bool(np.all(sums == total)), f"an all-reduce of {size} numbers is wrong")
        world.reduce(mine, sums if world.rank == 0 else None, 0, f"selftest: reduce of {size}")
        _require(world, bool(np.all(sums == total)), f"a reduction of {size} numbers is wrong")
        root = world.size - 1
        world.broadcast(mine, root, f"selftest: broadcast of {size}")
        _require(world, bool(np.all(mine == world.size)), f"a broadcast of {size} numbers is wrong")
    return "broadcast, reduce, all-reduce"


def _movements(world: World) -> str:
    """Movements and their adjoints fit."""
    grid, p = Grid(world, ranks=world.size), world.size
    split = DistributedSpace(grid, (2 * p + 1, 3), ranks=Split(0))
    targets = [split.with_roles(ranks=role) for role in (At(p - 1), Copies(), Replicated(), Split(1))]
    operators = [Movement(split, target) for target in targets]
    operators.append(HaloExchange(split, {0: (1, 1)}))
    for operator in operators:
        report = check_adjoint(operator)
        _require(world, report.passed, str(report))
    return ", ".join(str(operator) for operator in operators)


def _disagreement(world: World) -> str:
    """Ranks that disagree get an error, all of them, and go on."""
    if world.size == 1:
        return "nobody to disagree with"
    try:
        world.allgather(world.rank, f"selftest: {'this' if world.rank else 'that'}")
    except AgreementError:
        found = world.allgather(world.rank, "selftest: after a disagreement")
        _require(world, found == list(range(world.size)), f"after a disagreement, found the ranks {found}")
        return "an error on all ranks, after which they go on"
    _require(world, False, "ranks in different operations got no error")
    raise AssertionError


def _speed(world: World) -> str:
    """How long a message takes from the first rank to the last and back, and how many bytes go in a second."""
    if world.size == 1:
        return "nobody to send to"
    last = world.size - 1
    seconds = {}
    for size, turns in ((1, TURNS), (SIZES[-1], 5)):
        numbers, times = np.zeros(size), []
        for _ in range(turns):
            began = time.perf_counter()
            for sender, receiver in ((0, last), (last, 0)):
                what = "selftest: round trip"
                sends = [(receiver, numbers)] if world.rank == sender else []
                receives = [(sender, numbers)] if world.rank == receiver else []
                world.exchange(sends, receives, what).finish()
            times.append(time.perf_counter() - began)
        seconds[size] = statistics.median(times) / 2
    took = world.allgather(seconds, "selftest: times")[0]
    rate = 8 * SIZES[-1] / took[SIZES[-1]] / 1e9
    return f"{1e6 * took[1]:.1f} us for a number, {rate:.2f} GB/s, between rank 0 and rank {last}"


TESTS: dict[str, Test] = {
    "ranks": _ranks,
    "messages": _messages,
    "collectives": _collectives,
    "movements": _movements,
    "disagreement": _disagreement,
    "speed": _speed,
}
"""What is tested, in this order."""


def _require(world: World, right: bool, fault: str) -> None:
    """Raise where something is wrong, on all ranks."""
    if not right:
        world.fail(ArithmeticError(f"selftest: rank {world.rank}: {fault}"))
