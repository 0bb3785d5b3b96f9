"""How often checks of adjoints are wrong: false alarms on right operators, wrong operators that pass.

`linop.check_adjoint` stands beside the usual dot test: one pair of normal vectors, accepted where the two pairings
agree to a relative tolerance, in the precision of the vectors. ``python benchmarks/verification.py --runs 10000``
prints two tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse
from tqdm import tqdm

from linop import (
    FFT,
    Correlation,
    CumulativeSum,
    Diagonal,
    Euclidean,
    FunctionOperator,
    LinearOperator,
    Matrix,
    SparseMatrix,
    Weighted,
    check_adjoint,
)

TOLERANCES = (1e-3, 1e-6, 1e-9)


def dot_test(A: LinearOperator, seed: int, *, inner: bool = False) -> list[bool]:
    """Return the verdicts of the usual test, for each tolerance."""
    x, y = A.domain.normal((seed, 0)), A.codomain.normal((seed, 1))
    image, preimage = A(x), (A.H if inner else A.dual)(y)
    if inner:
        left, right = A.codomain.inner(image, y), A.domain.inner(x, preimage)
    else:
        left, right = np.vdot(image, y), np.vdot(x, preimage)
    return [bool(abs(left - right) <= tolerance * abs(left)) for tolerance in TOLERANCES]


# -- right operators ---------------------------------------------------------------------------------------------------


def right_operators(n: int) -> Iterator[tuple[str, LinearOperator]]:
    """Return correct operators with roundings, on vectors of `n` entries."""
    generator = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        X = Euclidean(n, dtype)
        numbers = generator.standard_normal(n).astype(dtype)
        sparse = scipy.sparse.random_array((n, n), density=5 / n, rng=generator, dtype=dtype)
        narrow = generator.standard_normal((n // 100, 100)).astype(dtype)
        yield "diagonal", Diagonal(numbers, X)
        yield "sparse matrix", SparseMatrix(sparse, X, X)
        yield "convolution", Correlation(X, numbers[:5], padding="same")
        yield "cumulative sum of a diagonal", CumulativeSum(X) @ Diagonal(numbers, X)
        yield "tall matrix", Matrix(narrow, Euclidean(100, dtype), Euclidean(n // 100, dtype))
        yield "FFT", FFT(Euclidean(n, np.result_type(dtype, np.complex64)))


def false_alarms(n: int, runs: int) -> None:
    """Print how often right operators fail."""
    print(
        f"False alarms on right operators of {n} entries (and a matrix of as many); runs that failed, of {runs} in all"
    )
    print(f"{'operator':40}{'linop':>8}" + "".join(f"{f'rtol {tolerance:g}':>12}" for tolerance in TOLERANCES))
    operators = list(right_operators(n))
    each = -(-runs // len(operators))
    total = np.zeros(1 + len(TOLERANCES), int)
    for name, A in operators:
        found = np.zeros_like(total)
        for seed in tqdm(range(each), desc=name, leave=False, mininterval=5):
            found += [not check_adjoint(A, seed=seed, mode="floating"), *(not passed for passed in dot_test(A, seed))]
        total += found
        print(f"{f'{name}, {A.domain.dtype}':40}" + _row(found, each), flush=True)
    print(f"{'all':40}" + _row(total, each * len(operators)))


# -- wrong operators ---------------------------------------------------------------------------------------------------


def _shift(n: int, dtype: Any, fault: Callable[[np.ndarray], np.ndarray]) -> LinearOperator:
    X = Euclidean(n, dtype)
    return FunctionOperator(
        X, X, lambda x: np.roll(x, 1), lambda y: fault(np.roll(y, -1)), name="Shift", exact=True, roundings=0
    )


def _lost(y: np.ndarray) -> np.ndarray:
    y[3] = 0
    return y


def _swapped(y: np.ndarray) -> np.ndarray:
    y[[2, 3]] = y[[3, 2]]
    return y


def wrong_operators(n: int, dtype: Any) -> Iterator[tuple[str, LinearOperator]]:
    """Return operators whose adjoint has a fault; with weights, the fault is in the weights."""
    yield "one lost entry", _shift(n, dtype, _lost)
    yield "two rows swapped", _shift(n, dtype, _swapped)
    yield "one entry of the wrong sign", _shift(n, dtype, lambda y: np.where(np.arange(n) == 3, -y, y))
    yield "wrong scale, 1 + 2**-10", _shift(n, dtype, lambda y: y * y.dtype.type(1 + 2.0**-10))
    C = Euclidean(n, np.result_type(dtype, np.complex64))
    turn = np.ones(n, C.dtype)
    turn[3] = 1j
    yield (
        "one missing conjugate",
        FunctionOperator(C, C, lambda x: turn * x, lambda y: turn * y, exact=True, roundings=2),
    )
    weights = 2.0 ** (np.arange(n) % 3)
    X, Y = Weighted(Euclidean(n, dtype), weights), Weighted(Euclidean(n, dtype), np.roll(weights, 1))
    # H should be R_X^-1 . dual . R_Y; here the two weights have changed places.
    yield (
        "weights transposed",
        FunctionOperator(
            X, Y, np.copy, lambda y: X._weigh(Y._weigh(X._unweigh(Y._unweigh(X._weigh(Y._unweigh(y)))))), exact=True
        ),
    )


def missed(n: int, runs: int) -> None:
    """Print how often wrong operators pass."""
    print(f"\nWrong operators of {n} entries that pass; runs that passed, of {runs}")
    print(f"{'fault':40}{'linop':>8}" + "".join(f"{f'rtol {tolerance:g}':>12}" for tolerance in TOLERANCES))
    for dtype in (np.float32, np.float64):
        for name, A in wrong_operators(n, dtype):
            found = np.zeros(1 + len(TOLERANCES), int)
            for seed in tqdm(range(runs), desc=name, leave=False, mininterval=5):
                report = check_adjoint(A, seed=seed)
                assert report.mode == "exact", str(report)
                found += [report.passed, *dot_test(A, seed)]
            print(f"{f'{name}, {np.dtype(dtype)}':40}" + _row(found, runs), flush=True)


def _row(found: np.ndarray, runs: int) -> str:
    return f"{found[0]:>8}" + "".join(f"{f'{count / runs:.1%}':>12}" for count in found[1:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1200, help="checks of right operators in all")
    parser.add_argument("--faulty-runs", type=int, default=20, help="checks of each wrong operator")
    parser.add_argument("--entries", type=int, default=100_000, help="of the right operators")
    parser.add_argument("--faulty-entries", type=int, default=1_000_000, help="of the wrong operators")
    arguments = parser.parse_args()
    false_alarms(arguments.entries, arguments.runs)
    missed(arguments.faulty_entries, arguments.faulty_runs)
