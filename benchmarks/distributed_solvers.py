"""What an iteration of CGLS costs on ranks, beside the same written by hand with NumPy and mpi4py, and pylops-mpi.

Run under mpiexec (``mpiexec -n 2 python benchmarks/distributed_solvers.py``). Two operators, each on few unknowns,
where everything is overhead, and on many: the first derivative ``x[i] - x[i - 1]``, a halo of one entry and a local
difference, and a block-diagonal matrix, which sends nothing. All start from zero with the same right-hand side and must
come to the same iterates.

All columns take turns, so that they see the same machine. A time is that of an iteration on the slowest rank, without
what comes before the first; the table has medians over the turns, and the medians of the ratios in the same turn. Below
it stands what a rank of the middle sends in one iteration: messages and data collectives (`World.traffic`), and calls
of the control plane (`World.allgather`). By hand, two reductions are needed. The column of pylops-mpi, an optional
package, is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import by_hand_solvers
import numpy as np
from by_hand_solvers import Map
from mpi4py import MPI

from distdl_ops import DistributedFiniteDifference, DistributedSpace, Grid, Local, Split, World, world
from linop import Euclidean, Identity, Kron, LinearOperator, Matrix
from linop.solve import cgls

try:
    pylops: Any = import_module("pylops")
    pylops_mpi: Any = import_module("pylops_mpi")
except ImportError:
    pylops_mpi = None

BLOCK = 100
"""Rows and columns of a block of the matrix, when there are many."""

Solve = Callable[[int], tuple[np.ndarray, list[float]]]
"""From a number of iterations, this rank's part of the solution, and when each iteration ended."""


class Problem(NamedTuple):
    """A system of equations: our operator, the same by hand and in pylops-mpi, and right-hand sides for these."""

    title: str
    A: LinearOperator
    forward: Map
    adjoint: Map
    foreign: Callable[[], Any]
    b: np.ndarray
    foreign_b: np.ndarray


# -- the problems ------------------------------------------------------------------------------------------------------


def derivative(ranks: World, communicator: Any, n: int) -> Problem:
    """Return the first derivative of n unknowns: a difference lies where its second entry does."""
    S = DistributedSpace(Grid(ranks, p=ranks.size), (n,), p=Split(0))
    ends = [(max(start - 1, 0), stop - 1) for start, stop in S.roles["p"].intervals]  # type: ignore[attr-defined]
    Y = DistributedSpace(S.grid, (n - 1,), p=Split(0, ends))
    A = DistributedFiniteDifference(S, codomain=Y)
    hand, b = by_hand_solvers.Derivative(communicator), Y.normal(0)
    padded = np.concatenate([np.zeros(hand.first), b])  # pylops-mpi has a row of zeros for the first entry
    return Problem(
        "derivative",
        A,
        hand.forward,
        hand.adjoint,
        lambda: pylops_mpi.MPIFirstDerivative(n, kind="backward"),
        b,
        padded,
    )


def blocks(ranks: World, communicator: Any, n: int) -> Problem:
    """Return a block-diagonal matrix: one block on each rank; with many unknowns, a small one for many columns."""
    generator = np.random.default_rng(communicator.Get_rank())
    few = n <= BLOCK * BLOCK
    shape, axis = ((n,), 0) if few else ((BLOCK, n // BLOCK), 1)
    S = DistributedSpace(Grid(ranks, p=ranks.size), shape, p=Split(axis))
    rows = S.shape[0]
    a = generator.standard_normal((rows, rows)) / rows**0.5 + 2 * np.eye(rows)
    A: LinearOperator = Matrix(a) if few else Kron(Matrix(a), Identity(Euclidean(S.shape[1])))

    def foreign() -> Any:
        return pylops_mpi.MPIBlockDiag(ops=[pylops.MatrixMult(a, otherdims=S.shape[1:])])

    b = S.normal(0)
    return Problem("blocks", Local(S, S, A), lambda x: a @ x, lambda y: a.T @ y, foreign, b, b.ravel())


def solvers(problem: Problem, communicator: Any) -> dict[str, Solve]:
    """Return each column's way to solve a problem."""

    def ours(iterations: int) -> tuple[np.ndarray, list[float]]:
        times: list[float] = []
        settings = {"tolerance": 0.0, "iterations": iterations}
        found = cgls(problem.A, problem.b, callback=lambda _: times.append(time.perf_counter()), **settings)
        if found.iterations != iterations:
            raise ArithmeticError(f"{problem.title}: stopped after {found.iterations} iterations, {found.reason}")
        return found.x, times

    columns: dict[str, Solve] = {
        "by hand": lambda iterations: by_hand_solvers.cgls(
            communicator, problem.forward, problem.adjoint, problem.b, iterations
        ),
        "ours": ours,
    }
    if pylops_mpi is not None:
        A, b = problem.foreign(), problem.foreign_b
        local = [(size,) for size in communicator.allgather(b.size)]
        y, x0 = (
            pylops_mpi.DistributedArray(global_shape=sum(size for (size,) in local), local_shapes=local) for _ in "yx"
        )
        y[:], x0[:] = b, 0.0

        def foreign(iterations: int) -> tuple[np.ndarray, list[float]]:
            times: list[float] = []
            settings = {"niter": iterations, "tol": 0.0}
            found = pylops_mpi.cgls(A, y, x0, callback=lambda _: times.append(time.perf_counter()), **settings)
            return found[0].local_array, times

        columns["pylops-mpi"] = foreign
    return columns


# -- measuring ---------------------------------------------------------------------------------------------------------


def require_same(title: str, columns: dict[str, Solve], communicator: Any) -> None:
    """Raise unless all come to the same iterates, up to rounding."""
    for iterations in (1, 2, 8):
        results = {name: solve(iterations)[0].ravel() for name, solve in columns.items()}
        expected = results["by hand"]
        for name, x in results.items():
            squares = np.array([np.vdot(x - expected, x - expected), np.vdot(expected, expected)])
            communicator.Allreduce(MPI.IN_PLACE, squares)
            if not squares[0] <= (1e-10) ** 2 * squares[1]:
                raise ArithmeticError(f"{title}: {name} differs after {iterations} iterations")


def measure(columns: dict[str, Solve], communicator: Any, turns: int, iterations: int) -> dict[str, list[float]]:
    """Return for each column the seconds of an iteration on the slowest rank, turn by turn."""
    times = np.empty((turns + 1, len(columns)))
    for turn in times:  # the first one warms up
        for k, solve in enumerate(columns.values()):
            communicator.Barrier()
            ends = solve(iterations)[1]
            turn[k] = (ends[-1] - ends[0]) / (len(ends) - 1)
    communicator.Allreduce(MPI.IN_PLACE, times, MPI.MAX)
    return {name: list(times[1:, k]) for k, name in enumerate(columns)}


def sent(ranks: World, solve: Solve) -> dict[str, float]:
    """Return what this rank sends in one iteration: the difference between ten iterations and five, by five."""
    control: Counter[str] = Counter()
    allgather = ranks.allgather

    def counted(*arguments: Any) -> Any:
        control["allgather"] += 1
        return allgather(*arguments)

    def run(iterations: int) -> Counter[str]:
        before = control + Counter(vars(ranks.traffic))
        solve(iterations)
        return control + Counter(vars(ranks.traffic)) - before

    vars(ranks)["allgather"] = counted
    few, many = run(5), run(10)
    del vars(ranks)["allgather"]
    return {name: (many[name] - few[name]) / 5 for name in (*vars(ranks.traffic), "allgather")}


def main(options: argparse.Namespace) -> None:
    """Measure everything, print the tables on rank 0, and write them."""
    ranks, communicator = world(timeout=300), MPI.COMM_WORLD.Dup()
    rows: list[dict[str, Any]] = []

    def tell(line: str) -> None:
        if ranks.rank == 0:
            print(line, flush=True)

    tell(f"an iteration of CGLS on {ranks.size} ranks: medians in us, and their ratios to what is written by hand")
    if pylops_mpi is None:
        tell("pylops-mpi is not installed: its column is left out")
    names = ("by hand", "ours", *(["pylops-mpi"] if pylops_mpi else []))
    tell(f"\n{'operator':<12}{'unknowns':>10}" + "".join(f"{name:>12}{'ratio':>8}" for name in names))
    for unknowns in options.unknowns:
        for make in (derivative, blocks):
            problem = make(ranks, communicator, unknowns)
            columns = solvers(problem, communicator)
            require_same(problem.title, columns, communicator)
            iterations = options.iterations or (5 if unknowns >= 10**6 else 40)
            times = measure(columns, communicator, options.turns, iterations)
            medians = {name: statistics.median(found) for name, found in times.items()}
            ratios = {
                name: statistics.median(a / b for a, b in zip(found, times["by hand"], strict=True))
                for name, found in times.items()
            }
            middle = communicator.bcast(sent(ranks, columns["ours"]), ranks.size // 2)
            rows.append(
                {"operator": problem.title, "unknowns": unknowns, "seconds": medians, "ratios": ratios, "sent": middle}
            )
            cells = "".join(f"{1e6 * medians[name]:>12.1f}{ratios[name]:>8.2f}" for name in names)
            tell(f"{problem.title:<12}{unknowns:>10}{cells}")
    tell("\nwhat a rank of the middle sends in one iteration of ours\n")
    tell(f"{'operator':<12}{'unknowns':>10}" + "".join(f"{name:>12}" for name in rows[0]["sent"]))
    for row in rows:
        tell(f"{row['operator']:<12}{row['unknowns']:>10}" + "".join(f"{found:>12g}" for found in row["sent"].values()))
    if options.json and ranks.rank == 0:
        found = {"ranks": ranks.size, "pylops-mpi": getattr(pylops_mpi, "__version__", None), "rows": rows}
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--unknowns", type=int, nargs="+", help="multiples of 100; 1000 and 10 million")
    parser.add_argument("--turns", type=int, help="of each column, after one to warm up; 11")
    parser.add_argument("--iterations", type=int, help="in a turn; 40, and 5 of a million unknowns or more")
    parser.add_argument("--quick", action="store_true", help="3 turns, 1000 and 100 000 unknowns, unless given")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    chosen = parser.parse_args()
    if MPI.COMM_WORLD.Get_size() == 1:
        parser.error("run it under mpiexec: mpiexec -n 2 python benchmarks/distributed_solvers.py")
    chosen.turns = chosen.turns or (3 if chosen.quick else 11)
    chosen.unknowns = chosen.unknowns or ([1000, 100_000] if chosen.quick else [1000, 10_000_000])
    main(chosen)
