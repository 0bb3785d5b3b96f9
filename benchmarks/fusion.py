"""What fusion saves: expressions before and after `linop.simplify`, priced and timed.

Run under mpiexec (``mpiexec -n 4 python benchmarks/fusion.py``). The prices are those of the machine that
`distdl_ops.calibrate` measures at the start; a time is that of the slowest rank. Both columns take turns, so that they
see the same machine; the table has medians, in microseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from mpi4py import MPI

from distdl_ops import (
    Copies,
    DistributedSpace,
    Grid,
    HaloExchange,
    Local,
    Movement,
    Replicated,
    Split,
    calibrate,
    world,
)
from linop import Diagonal, Euclidean, LinearOperator, simplify


def expressions(S: DistributedSpace) -> dict[str, Callable[[], LinearOperator]]:
    """Return expressions on a matrix that is split by rows."""
    T, C = S.with_roles(p=Split(1)), S.with_roles(p=Copies())
    R, H = S.with_roles(p=Replicated()), HaloExchange(S, {0: (1, 1)})
    multiplied = Local(T, T, Diagonal(np.full(T.shape, 3.0), Euclidean(T.shape)))
    return {
        "all-reduce": lambda: Movement(C, R),
        "all-reduce twice": lambda: Movement(C, C) @ Movement(C, C),
        "reduce-scatter, all-gather": lambda: Movement(S, C) @ Movement(C, S),
        "halo after repartition": lambda: H @ Movement(T, S),
        "halo there and back": lambda: H.H @ H,
        "repartition there and back": lambda: Movement(T, S) @ Movement(S, T),
        "diagonal between": lambda: Movement(T, S) @ multiplied @ Movement(S, T),
        "gathered, sliced": lambda: Movement(R, T) @ Movement(S, R),
    }


def seconds(operators: list[LinearOperator], turns: int) -> list[float]:
    """Return the median time of one application of each on the slowest rank."""
    times = np.empty((turns + 1, len(operators)))
    vectors = [A.domain.normal(0) for A in operators]
    for turn in times:  # the first one warms up
        for k, (A, x) in enumerate(zip(operators, vectors, strict=True)):
            MPI.COMM_WORLD.Barrier()
            began = time.perf_counter()
            A(x)
            turn[k] = time.perf_counter() - began
    MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, times, MPI.MAX)
    return [statistics.median(column) for column in times[1:].T]


def main(options: argparse.Namespace) -> None:
    """Print the tables on rank 0."""
    ranks = world(timeout=300)
    machine = calibrate(ranks)

    def tell(line: str) -> None:
        if ranks.rank == 0:
            print(line, flush=True)

    tell(
        f"{ranks.size} ranks: alpha {machine.alpha:.1e}, beta {machine.beta:.1e}, gamma {machine.gamma:.1e}, "
        f"delta {machine.delta:.1e}; microseconds"
    )
    for extent in options.extents:
        S = DistributedSpace(Grid(ranks, p=ranks.size), (extent, extent), p=Split(0))
        tell(f"\n{extent} x {extent}")
        tell(f"{'':<28}{'before: price':>15}{'time':>10}{'after: price':>15}{'time':>10}   after")
        for name, make in expressions(S).items():
            before = make()
            after = simplify(before)
            prices = [1e6 * machine.seconds(A) for A in (before, after)]
            times = [1e6 * found for found in seconds([before, after], options.turns)]
            numbers = f"{prices[0]:>15.1f}{times[0]:>10.1f}{prices[1]:>15.1f}{times[1]:>10.1f}"
            tell(f"{name:<28}{numbers}   {after}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--extents", type=int, nargs="+", default=[32, 1024], help="of the matrix; 32 and 1024")
    parser.add_argument("--turns", type=int, default=15, help="after one to warm up; 15")
    main(parser.parse_args())
