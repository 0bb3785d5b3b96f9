"""What small operators cost: chains of five trivial ones on ten numbers, beside NumPy's five steps, SciPy and PyLops.

Nothing but overhead is measured here. *Applying* takes a chain that is there; *building* puts it together from its five
operators, ``A @ B @ C @ D @ E``, and then applies it once; *constructing* makes the five operators first. NumPy's steps
are written as one expression, and once more as five functions that call each other. All columns take turns, so that
they see the same machine; the table has medians over the turns, in microseconds, and in parentheses the median of the
ratios to NumPy's expression in the same turn. PyLops' column is left out where it is not installed. At the end stands
how long ``import linop`` takes in a fresh interpreter that has imported NumPy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import reduce
from importlib import import_module
from operator import matmul
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse.linalg

from linop import Diagonal, Euclidean, LinearOperator, Matrix
from linop.operators.indexing.restriction import Restriction

try:
    pylops: Any = import_module("pylops")
except ImportError:
    pylops = None

SIZE = 10
X = Euclidean(SIZE)
INNER = slice(1, SIZE - 1)
d = np.linspace(0.5, 1.5, SIZE)
a = np.linspace(-1.0, 1.0, SIZE * SIZE).reshape(SIZE, SIZE)

Step = Callable[[np.ndarray], Any]


class Kind(NamedTuple):
    """A kind of operator: a step of NumPy's, and what makes an operator of it in each library."""

    step: Step
    linop: Callable[[], LinearOperator]
    scipy: Callable[[], Any]
    pylops: Callable[[], Any]


def scipys(rows: int, columns: int, apply: Step) -> Callable[[], Any]:
    """Return a function that makes an operator of SciPy's from a step."""
    return lambda: scipy.sparse.linalg.LinearOperator((rows, columns), matvec=apply, dtype=np.float64)


def pad(x: np.ndarray) -> np.ndarray:
    """Return an array with a zero on both sides."""
    y = np.zeros(SIZE)
    y[INNER] = x
    return y


def multiply(x: np.ndarray) -> Any:
    """Return the entries, multiplied."""
    return d * x


def reverse(x: np.ndarray) -> np.ndarray:
    """Return the entries in reverse."""
    return x[::-1].copy()


def crop(x: np.ndarray) -> np.ndarray:
    """Return all but the first and the last entry."""
    return x[INNER].copy()


def product(x: np.ndarray) -> Any:
    """Return the product with a matrix."""
    return a @ x


diagonal = Kind(
    multiply,
    lambda: Diagonal(d, X),
    scipys(SIZE, SIZE, multiply),
    lambda: pylops.Diagonal(d),
)
reversal = Kind(
    reverse,
    lambda: Restriction(X, slice(None, None, -1)),
    scipys(SIZE, SIZE, reverse),
    lambda: pylops.Flip(SIZE),
)
cropping = Kind(
    crop,
    lambda: Restriction(X, INNER),
    scipys(SIZE - 2, SIZE, crop),
    lambda: pylops.Restriction(SIZE, np.arange(SIZE)[INNER]),
)
padding = Kind(
    pad,
    lambda: Restriction(X, INNER).H,
    scipys(SIZE, SIZE - 2, pad),
    lambda: pylops.Pad(SIZE - 2, (1, 1)),
)
matrix = Kind(
    product,
    lambda: Matrix(a, X, X),
    scipys(SIZE, SIZE, product),
    lambda: pylops.MatrixMult(a),
)

CHAINS: dict[str, tuple[Step, Sequence[Kind]]] = {
    "five diagonals": (
        lambda x: d * (d * (d * (d * (d * x)))),
        [diagonal] * 5,
    ),
    "reversals and diagonals": (
        lambda x: (d * (d * x[::-1].copy())[::-1].copy())[::-1].copy(),
        [reversal, diagonal, reversal, diagonal, reversal],
    ),
    "cropped and padded": (
        lambda x: d * pad((d * x)[::-1].copy()[INNER].copy()),  # NumPy has no expression for the padding
        [diagonal, padding, cropping, reversal, diagonal],
    ),
    "five matrices": (
        lambda x: a @ (a @ (a @ (a @ (a @ x)))),
        [matrix] * 5,
    ),
}
"""NumPy's expression, and the operators as they are written, from left to right: the last one is applied first."""


def columns(expression: Step, chain: Sequence[Kind], stage: str) -> dict[str, Callable[[], Any]]:
    """Return for each column what is timed at a stage: applying, building or constructing."""
    x = np.linspace(-1.0, 1.0, SIZE)
    first, second, third, fourth, fifth = (kind.step for kind in chain)
    timed: dict[str, Callable[[], Any]] = {
        "NumPy": lambda: expression(x),
        "functions": lambda: first(second(third(fourth(fifth(x))))),
        "linop": stages([kind.linop for kind in chain], lambda chain: chain(x))[stage],
        "SciPy": stages([kind.scipy for kind in chain], lambda chain: chain.matvec(x))[stage],
    }
    if pylops is not None:
        timed["PyLops"] = stages([kind.pylops for kind in chain], lambda chain: chain.matvec(x))[stage]
    expected = timed["NumPy"]()
    for library, function in timed.items():
        if not np.allclose(function(), expected, rtol=1e-12, atol=0):
            raise ArithmeticError(f"{library} has another result than NumPy")
    return timed


def stages(makers: Sequence[Callable[[], Any]], apply: Callable[[Any], Any]) -> dict[str, Callable[[], Any]]:
    """Return for each stage a function that goes through it and those after it."""
    A, B, C, D, E = (make() for make in makers)
    chain = A @ B @ C @ D @ E
    return {
        "applying": lambda: apply(chain),
        "building": lambda: apply(A @ B @ C @ D @ E),
        "constructing": lambda: apply(reduce(matmul, [make() for make in makers])),
    }


def measure(timed: dict[str, Callable[[], Any]], turns: int, number: int) -> dict[str, tuple[float, float]]:
    """Return for each column the median time of a call in microseconds, and the median ratio to NumPy's."""
    times: dict[str, list[float]] = {library: [] for library in timed}
    for turn in range(turns + 3):
        for library, function in timed.items():
            start = time.perf_counter()
            for _ in range(number):
                function()
            if turn >= 3:  # the first ones warm up
                times[library].append(1e6 * (time.perf_counter() - start) / number)
    return {
        library: (statistics.median(own), statistics.median(t / n for t, n in zip(own, times["NumPy"], strict=True)))
        for library, own in times.items()
    }


def importing(repeats: int) -> float:
    """Return how many milliseconds ``import linop`` takes after NumPy: the median over fresh interpreters.

    Its modules are compiled before, as those of an installed package are.
    """
    program = "import numpy, time; t = time.perf_counter(); import linop; print(time.perf_counter() - t)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as compiled:
        run = [sys.executable, "-X", f"pycache_prefix={compiled}", "-c", program]
        seconds = [
            float(subprocess.run(run, capture_output=True, check=True, text=True, env=environment).stdout)
            for _ in range(repeats + 1)
        ]
    return 1e3 * statistics.median(seconds[1:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--turns", type=int, default=100, help="of each column, after three to warm up")
    parser.add_argument("--number", type=int, default=100, help="of calls in a turn; a tenth of them when constructing")
    parser.add_argument("--imports", type=int, default=9, help="fresh interpreters that import linop")
    options = parser.parse_args()
    libraries = ["NumPy", "functions", "linop", "SciPy", *(["PyLops"] if pylops else [])]
    print("medians in microseconds, and the ratio to NumPy's expression\n")
    print(f"{'chain':<25}{'':<12}" + "".join(f"{library:>18}" for library in libraries), flush=True)
    for title, (expression, chain) in CHAINS.items():
        for stage in ("applying", "building", "constructing"):
            number = max(options.number // 10, 1) if stage == "constructing" else options.number
            found = measure(columns(expression, chain, stage), options.turns, number)
            cells = [f"{found[library][0]:.2f} ({found[library][1]:.2f})" for library in libraries]
            print(f"{title:<25}{stage:<12}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
    print(f"\nimport linop, after NumPy: {importing(options.imports):.0f} ms")
