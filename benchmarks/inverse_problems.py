"""How long inverse problems take beside PyLops and PyProximal, and SciPy: the same matrices, the same number of steps.

Three problems: least squares with a sparse matrix (CGLS beside `pylops.cgls` and `scipy.sparse.linalg.lsqr`), the LASSO
(FISTA beside `pylops.optimization.sparsity.fista`), and total variation of a blurred image (the primal-dual method of
Chambolle and Pock beside `pyproximal.optimization.primaldual.PrimalDual`). All take turns; the table has the medians of
milliseconds for a step, and how far the answers are apart. PyProximal is an optional package: its row is left out where
it is not installed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pylops
import scipy.sparse
import scipy.sparse.linalg

from linop import Euclidean, FunctionOperator, Gradient
from linop.solve import cgls, fista, gmres, misfit, primal_dual, slopes, soft_threshold

try:
    pyproximal: Any = import_module("pyproximal")
except ImportError:
    pyproximal = None

Columns = dict[str, Callable[[], np.ndarray]]


def matrix(n: int) -> Any:
    """Return a banded matrix of n unknowns, not symmetric and far from singular, with a few more rows."""
    generator = np.random.default_rng(0)
    diagonals = [generator.uniform(-0.5, 0.5, n) for _ in range(4)]
    band = scipy.sparse.dia_array((np.stack([*diagonals, np.full(n, 2.0)]), [-3, -1, 1, 5, 0]), shape=(n, n))
    return scipy.sparse.vstack([band, 0.1 * scipy.sparse.eye_array(n)]).tocsr()


def ours(a: Any) -> FunctionOperator:
    """Return a sparse matrix as an operator that multiplies by it as the other libraries do."""
    transposed = a.T.tocsr()
    rows, columns = a.shape
    return FunctionOperator(Euclidean(columns), Euclidean(rows), lambda x: a @ x, lambda y: transposed @ y)


def theirs(a: Any) -> Any:
    """Return the same operator for PyLops."""
    transposed = a.T.tocsr()
    return pylops.FunctionOperator(lambda x: a @ x, lambda y: transposed @ y, *a.shape, dtype="float64")


def least_squares(n: int, steps: int) -> Columns:
    """Return the columns of CGLS, from zero."""
    a, b = matrix(n), np.random.default_rng(1).standard_normal(2 * n)
    A, Op = ours(a), theirs(a)
    return {
        "linop": lambda: cgls(A, b, tolerance=0.0, iterations=steps).x,
        "pylops": lambda: pylops.cgls(Op, b, x0=np.zeros(n), niter=steps, tol=0.0)[0],
        "scipy (lsqr)": lambda: scipy.sparse.linalg.lsqr(a, b, atol=0.0, btol=0.0, conlim=0.0, iter_lim=steps)[0],
    }


def square(n: int, steps: int) -> Columns:
    """Return the columns of GMRES, restarted after as many steps."""
    a, b = matrix(n)[:n], np.random.default_rng(1).standard_normal(n)
    A = ours(a)
    return {
        "linop": lambda: gmres(A, b, tolerance=0.0, iterations=steps, restart=steps).x,
        "scipy": lambda: scipy.sparse.linalg.gmres(a, b, rtol=0.0, restart=steps, maxiter=1)[0],
    }


def lasso(n: int, steps: int) -> Columns:
    """Return the columns of FISTA, with the same step length."""
    a, b = matrix(n), np.random.default_rng(1).standard_normal(2 * n)
    A, Op, L = ours(a), theirs(a), 20.0
    prox = soft_threshold(0.2)
    options: dict[str, Any] = {"niter": steps, "eps": 0.4, "alpha": 1 / L, "tol": 0.0}  # their weight is twice ours
    return {
        "linop": lambda: fista(A, b, prox, lipschitz=L, tolerance=0.0, iterations=steps).x,
        "pylops": lambda: pylops.optimization.sparsity.fista(Op, b, x0=np.zeros(n), **options)[0],
    }


def total_variation(n: int, steps: int) -> Columns:
    """Return the columns of the primal-dual method, for noise in an image."""
    side = int(np.sqrt(n))
    b = np.kron(np.eye(4), np.ones((side // 4, side // 4)))
    b = b + 0.2 * np.random.default_rng(0).standard_normal(b.shape)
    G, step = Gradient(Euclidean(b.shape), boundary="edge"), 0.99 / np.sqrt(8)
    options: dict[str, Any] = {"primal_step": step, "dual_step": step, "tolerance": 0.0, "iterations": steps}
    columns: Columns = {"linop": lambda: primal_dual(G, misfit(b), slopes(0.3), **options).x}
    if pyproximal is not None:
        Op = pylops.Gradient(b.shape, kind="forward", dtype="float64")
        f, g = pyproximal.L2(b=b.ravel()), pyproximal.L21(ndim=2, sigma=0.3)
        run = pyproximal.optimization.primaldual.PrimalDual
        columns["pyproximal"] = lambda: run(
            f, g, Op, tau=step, mu=step, theta=1.0, x0=np.zeros(b.size), niter=steps, gfirst=False
        ).reshape(b.shape)
    return columns


def compare(name: str, n: int, columns: Columns, steps: int, turns: int) -> None:
    """Let all columns take turns, and print a line for each."""
    times: dict[str, list[float]] = {column: [] for column in columns}
    answers: dict[str, np.ndarray] = {}
    for turn in range(turns + 1):  # the first one warms up
        for column, solve in columns.items():
            start = time.perf_counter()
            answers[column] = np.asarray(solve())
            if turn:
                times[column].append(1e3 * (time.perf_counter() - start) / steps)
    for column, found in times.items():
        apart = np.linalg.norm(answers[column] - answers["linop"]) / np.linalg.norm(answers["linop"])
        ratio = statistics.median(a / b for a, b in zip(times["linop"], found, strict=True))
        print(
            f"{name:<18}{n:>10}  {column:<14}{statistics.median(found):>10.3f}{ratio:>8.2f}{apart:>10.0e}", flush=True
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--unknowns", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--turns", type=int, default=7, help="of each column, after one to warm up")
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    print(f"{'problem':<18}{'unknowns':>10}  {'library':<14}{'ms a step':>10}{'ratio':>8}{'apart':>10}")
    for n in chosen.unknowns:
        for name, make in (
            ("least squares", least_squares),
            ("gmres", square),
            ("lasso", lasso),
            ("total variation", total_variation),
        ):
            compare(name, n, make(n, chosen.steps), chosen.steps, chosen.turns)


if __name__ == "__main__":
    main()
