"""Check an operator from the command line: ``python -m linop.verify module:operator``.

The name after the colon is that of an operator (of linop, scipy or pylops), of a tuple (a function of torch's and its
domain; or a function, its adjoint, domain and codomain), or of a function without arguments that makes one of these.
All checks are made, and their reports printed; the exit status is 1 where one has failed.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from linop.core.operator import LinearOperator
from linop.interop import adopt
from linop.operators.entrywise.diagonal import Diagonal
from linop.verify import check


def operator_of(name: str) -> LinearOperator:
    """Return the operator that a name stands for.

    Raises
    ------
    ValueError
        When the name has no colon.
    TypeError
        When it stands for something else.

    Examples
    --------
    >>> operator_of("linop.verify.__main__:example")
    Diagonal([1.0, 2.0]) : Euclidean((2,), float64) -> Euclidean((2,), float64)
    """
    module, colon, attribute = name.partition(":")
    if not (colon and attribute):
        raise ValueError(f"expected module:operator, found {name!r}")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    if inspect.isfunction(found) and not inspect.signature(found).parameters:
        found = found()
    try:
        return adopt.operator_of("python -m linop.verify", found)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def example() -> LinearOperator:
    """Return an operator to try the command with."""
    return Diagonal([1.0, 2.0])


def main(arguments: list[str] | None = None) -> int:
    """Print the reports, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m linop.verify", description=str(__doc__).partition("\n")[0])
    parser.add_argument("operator", nargs="+", help="module:name of an operator, or of a function that makes one")
    parser.add_argument("--seed", type=int, default=0, help="what vectors are drawn from")
    chosen = parser.parse_args(arguments)
    sys.path.insert(0, str(Path.cwd()))
    passed = True
    for name in chosen.operator:
        reports = check(operator_of(name), seed=chosen.seed)
        print(reports)
        passed = passed and bool(reports)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
