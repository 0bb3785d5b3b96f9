"""How long the solvers take beside SciPy's, on a Euclidean space: the same matrix, the same number of steps.

Both libraries apply the same matrix through the same product, sparse or dense (SciPy as a ``LinearOperator``), so that
what differs is the cost of a step around it: checks, and vector arithmetic that makes fresh arrays. The two take turns,
so that they see the same machine; the table has the median of each, per step, and the median of the ratios in the same
turn. Both stop after a fixed number of steps, with tolerances of zero.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import scipy.sparse.linalg as theirs

from linop import Euclidean, FunctionOperator, LinearOperator
from linop import solve as ours

STEPS = 25
"""Few enough for residuals to stay above rounding, where a solver would look whether it has converged."""


class Problem(NamedTuple):
    """A matrix as an operator of each library, and a right-hand side."""

    name: str
    linop: LinearOperator
    scipy: theirs.LinearOperator
    b: np.ndarray


def problem(name: str, matrix: Any) -> Problem:
    """Return a problem with an operator of each library that multiplies by the same matrix."""
    rows, columns = matrix.shape
    transposed = matrix.T if isinstance(matrix, np.ndarray) else matrix.T.tocsr()

    def forward(x: np.ndarray) -> Any:
        return matrix @ x

    def backward(y: np.ndarray) -> Any:
        return transposed @ y

    scipys = theirs.LinearOperator((rows, columns), matvec=forward, rmatvec=backward, dtype=np.float64)
    ours_ = FunctionOperator(Euclidean(columns), Euclidean(rows), forward, backward)
    return Problem(name, ours_, scipys, np.random.default_rng(0).standard_normal(rows))


def laplace(n: int) -> Any:
    """Return the five-point stencil on a square of n x n points: self-adjoint and positive."""
    line = scipy.sparse.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    return (
        scipy.sparse.kron(line, scipy.sparse.eye_array(n)) + scipy.sparse.kron(scipy.sparse.eye_array(n), line)
    ).tocsr()


def differences(n: int) -> Any:
    """Return the differences between neighbours on a square of n x n points, and its values: more rows than columns."""
    line = scipy.sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
    eye = scipy.sparse.eye_array(n)
    return scipy.sparse.vstack(
        [scipy.sparse.kron(line, eye), scipy.sparse.kron(eye, line), 0.1 * scipy.sparse.eye_array(n * n)]
    ).tocsr()


Pair = tuple[Callable[[Problem], Any], Callable[[Problem], Any]]

SOLVERS: dict[str, Pair] = {
    "cg": (
        lambda p: ours.cg(p.linop, p.b, tolerance=0.0, iterations=STEPS).x,
        lambda p: theirs.cg(p.scipy, p.b, rtol=0.0, atol=0.0, maxiter=STEPS)[0],
    ),
    "minres": (
        lambda p: ours.minres(p.linop, p.b, tolerance=0.0, iterations=STEPS).x,
        lambda p: theirs.minres(p.scipy, p.b, rtol=0.0, maxiter=STEPS)[0],
    ),
    "lsqr": (
        lambda p: ours.lsqr(p.linop, p.b, tolerance=0.0, iterations=STEPS).x,
        lambda p: theirs.lsqr(p.scipy, p.b, atol=0.0, btol=0.0, conlim=0.0, iter_lim=STEPS)[0],
    ),
    "lsmr": (
        lambda p: ours.lsmr(p.linop, p.b, tolerance=0.0, iterations=STEPS).x,
        lambda p: theirs.lsmr(p.scipy, p.b, atol=0.0, btol=0.0, conlim=0.0, maxiter=STEPS)[0],
    ),
    "cgls (lsqr)": (
        lambda p: ours.cgls(p.linop, p.b, tolerance=0.0, iterations=STEPS).x,
        lambda p: theirs.lsqr(p.scipy, p.b, atol=0.0, btol=0.0, conlim=0.0, iter_lim=STEPS)[0],
    ),
}


def timed(solver: Callable[[Problem], Any], given: Problem) -> tuple[float, Any]:
    """Return the microseconds of a step, and the solution."""
    start = time.perf_counter()
    x = solver(given)
    return 1e6 * (time.perf_counter() - start) / STEPS, x


def compare(name: str, pair: Pair, given: Problem, turns: int) -> None:
    """Let both take turns, and print a line of the table."""
    times = []
    difference = 0.0
    for _ in range(turns + 2):  # two to warm up
        (mine, x), (other, y) = (timed(solver, given) for solver in pair)
        times.append((mine, other))
        difference = float(np.linalg.norm(x - y) / np.linalg.norm(y))
    kept = times[2:]
    medians = [statistics.median(column) for column in zip(*kept, strict=True)]
    ratio = statistics.median(mine / other for mine, other in kept)
    print(
        f"{name:<12} {given.name:<22} {medians[0]:>10.0f} {medians[1]:>10.0f} {ratio:>7.2f} {difference:>11.0e}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--turns", type=int, default=30, help="of each solver, after two to warm up")
    turns = parser.parse_args().turns
    generator = np.random.default_rng(1)
    square = [problem(f"sparse, n = {n * n}", laplace(n)) for n in (10, 100, 500)]
    dense = generator.standard_normal((1000, 1000)) / np.sqrt(1000)
    square.append(problem("dense, n = 1000", dense @ dense.T + np.eye(1000)))
    tall = [problem(f"sparse, n = {n * n}", differences(n)) for n in (10, 100, 500)]
    tall.append(problem("dense, 2000 x 1000", generator.standard_normal((2000, 1000))))
    print(f"microseconds for a step, {STEPS} steps: medians of {turns} turns, and of their ratios\n")
    print(f"{'solver':<12} {'matrix':<22} {'linop':>10} {'scipy':>10} {'ratio':>7} {'difference':>11}", flush=True)
    for name, pair in SOLVERS.items():
        for given in square if name in ("cg", "minres") else tall:
            compare(name, pair, given, turns)


if __name__ == "__main__":
    main()
