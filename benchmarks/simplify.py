"""How long `linop.simplify` takes for expressions of a hundred nodes, on one simulated rank and on several.

Each expression is built anew for every turn, so that nothing is known of its operators; the caches of layouts are
emptied, too. The table has medians over the turns, in milliseconds: what this rank's thread computes, and what passes
on the clock until all simulated ranks, which take turns on one core, have finished, divided by their number.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from distdl_ops import (
    Copies,
    DistributedSpace,
    Grid,
    HaloExchange,
    Local,
    Movement,
    Replicated,
    Split,
    World,
    simulate,
    steps,
)
from distdl_ops import cost as costs
from linop import Correlation, Diagonal, Euclidean, Identity, LinearOperator, cost, parts, simplify

NODES = 100


def spaces(world: World) -> tuple[DistributedSpace, ...]:
    """Return a tensor split by rows, by columns, copied, and replicated."""
    S = DistributedSpace(Grid(world, p=world.size), (64, 64), p=Split(0))
    return S, *(S.with_roles(p=role) for role in (Split(1), Copies(), Replicated()))


def scaling(S: DistributedSpace) -> LinearOperator:
    """Return a multiplication by a tensor."""
    return Local(S, S, Diagonal(S.from_global(np.arange(1.0, 4097.0).reshape(64, 64)), Euclidean(S.shape)))


def chain(world: World) -> LinearOperator:
    """Return a product of movements."""
    around = spaces(world)
    A: LinearOperator = Identity(around[0])
    for k in range(NODES - 1):
        A = Movement(around[k % 4], around[(k + 1) % 4]) @ A
    return A


def layers(world: World) -> LinearOperator:
    """Return a product of convolutions and diagonals, and of the movements between them."""
    S, T, C, R = spaces(world)
    A: LinearOperator = Identity(S)
    while nodes(A) < NODES - 6:
        filtered = Local(T, T, Correlation(Euclidean(T.shape), np.array([[1.0, 2.0, 1.0]]), padding="same"))
        A = Movement(T, S) @ filtered @ Movement(S, T) @ scaling(S) @ A
        A = Movement(R, S) @ Movement(C, R) @ Movement(S, C) @ A
    return A


def sums(world: World) -> LinearOperator:
    """Return a sum of products: halos there and back, transposes there and back, multiples."""
    S, T, _, _ = spaces(world)
    A: LinearOperator = scaling(S)
    while nodes(A) < NODES - 10:
        H, M = HaloExchange(S, {0: (1, 1)}), Movement(S, T)
        A = A + 0.5 * (H.H @ H) + M.H @ scaling(T) @ M - 2 * (M.H @ M)
    return A


def nodes(A: LinearOperator) -> int:
    """Return the number of operators in an expression."""
    return 1 + sum(map(nodes, parts(A)))


def measure(world: World, make: Callable[[World], LinearOperator], turns: int) -> tuple[float, ...]:
    """Return the seconds that one simplification takes, in the thread and on the clock; and nodes before and after."""
    found = []
    for _ in range(turns):
        A = make(world)
        costs._largest.cache_clear()
        steps._cheapest_path.cache_clear()
        world.allgather(0, "start")
        began = time.thread_time(), time.perf_counter()
        B = simplify(A)
        computed = time.thread_time() - began[0]
        world.allgather(0, "end")
        found.append((computed, (time.perf_counter() - began[1]) / world.size))
        if not cost(B) <= cost(A):
            raise AssertionError(f"{B} costs more than {A}")
    thread, clock = zip(*found, strict=True)
    return statistics.median(thread), statistics.median(clock), nodes(A), nodes(B)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--turns", type=int, default=7)
    chosen = parser.parse_args()
    print(f"{'expression':12} {'ranks':>5} {'nodes':>5} {'after':>5} {'thread, ms':>11} {'clock, ms':>10}")
    for make in (chain, layers, sums):
        for ranks in chosen.ranks:
            everyone = simulate(ranks, lambda world, make=make: measure(world, make, chosen.turns))
            thread, clock, before, after = everyone[0]
            print(f"{make.__name__:12} {ranks:5} {before:5} {after:5} {1e3 * thread:11.2f} {1e3 * clock:10.2f}")


if __name__ == "__main__":
    main()
