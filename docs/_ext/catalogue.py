"""The catalogue of operators, read off the modules: ``.. operator-catalogue:: linop``.

The docstring of an operator, or of its module, begins with a table of three rows: map, adjoint, matrix. The catalogue
has these as columns. What is communicated is the `cost` of an example.
"""

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import distdl_ops as d
from linop import LinearOperator, cost

ROWS = ("map", "adjoint", "matrix")


def first_table(docstring: str) -> dict[str, str]:
    """Return the rows of the table that a module's docstring begins with, as one line each; none without a table."""
    found: dict[str, str] = {}
    name = ""
    for line in docstring.split("\n"):
        if re.fullmatch(r"=+ +=+", line):
            if found:
                return found if set(ROWS) <= set(found) else {}
            name = "table"
        elif name and line.strip():
            head, text = line[:11].strip(), line[11:].strip()
            name = head or name
            found[name] = f"{found.get(name, '')} {text}".strip()
    return {}


def _between(source: d.Role, target: d.Role) -> Callable[[d.World], LinearOperator]:
    def example(world: d.World) -> LinearOperator:
        S = d.DistributedSpace(d.Grid(world, p=4), (64,), p=source)
        return d.Movement(S, S.with_roles(p=target))

    return example


def _on(shape: tuple[int, ...], role: d.Role, make: Callable[[Any], LinearOperator], dtype: Any = float) -> Any:
    return lambda world: make(d.DistributedSpace(d.Grid(world, p=4), shape, dtype, p=role))


def _matrix(S: d.DistributedSpace) -> LinearOperator:
    return d.DistributedMatrix(np.ones((8, 64)), S, d.DistributedSpace(S.grid, (8,), p=d.At(0)))


def _stencil(S: d.DistributedSpace) -> Any:
    """Return this rank's rows of a matrix with three diagonals."""
    start = S.grid.world.rank * 16
    return scipy.sparse.csr_array(np.eye(64) + np.eye(64, k=1) + np.eye(64, k=-1))[start : start + 16]


ROOT, OTHER, SPLIT, COPIES, REPLICATED = d.At(0), d.At(1), d.Split(0), d.Copies(), d.Replicated()

EXAMPLES: dict[str, Callable[[d.World], LinearOperator]] = {
    "AllGather": _between(SPLIT, COPIES),
    "AllReduce": _between(COPIES, REPLICATED),
    "AllSumReduce": _between(COPIES, COPIES),
    "AllToAll": _on((8, 8), SPLIT, lambda S: d.Movement(S, S.with_roles(p=d.Split(1)))),
    "Broadcast": _between(ROOT, COPIES),
    "Copy": _between(REPLICATED, COPIES),
    "DistributedConvolution": _on((64,), SPLIT, lambda S: d.DistributedConvolution(S, [1.0, 2.0, 1.0], padding=1)),
    "DistributedCumulativeSum": _on((64,), SPLIT, lambda S: d.DistributedCumulativeSum(S, 0)),
    "DistributedDCT": _on((8, 8), SPLIT, d.DistributedDCT),
    "DistributedDirectionalDerivative": _on((8, 8), SPLIT, lambda S: d.DistributedDirectionalDerivative(S, [1.0, 1.0])),
    "DistributedDiagonal": _on((64,), SPLIT, lambda S: d.DistributedDiagonal(np.ones(64), S)),
    "DistributedFFT": _on((8, 8), SPLIT, d.DistributedFFT, complex),
    "DistributedFiniteDifference": _on((64,), SPLIT, lambda S: d.DistributedFiniteDifference(S, 0)),
    "DistributedFlip": _on((64,), SPLIT, d.DistributedFlip),
    "DistributedFractionalShift": _on((8, 8), SPLIT, lambda S: d.DistributedFractionalShift(S, 0.5, 0)),
    "DistributedGather": _on((64,), SPLIT, lambda S: d.DistributedGather(S, np.arange(0, 64, 5))),
    "DistributedGradient": _on((8, 8), SPLIT, d.DistributedGradient),
    "DistributedInterpolation": _on((64,), SPLIT, lambda S: d.DistributedInterpolation(S, [[15.5], [40.25]])),
    "DistributedLaplacian": _on((8, 8), SPLIT, d.DistributedLaplacian),
    "DistributedMatrix": _on((64,), SPLIT, _matrix),
    "DistributedNonStationaryConvolution": _on(
        (64,), SPLIT, lambda S: d.DistributedNonStationaryConvolution(S, [[1.0, 2.0, 1.0]], [0.0])
    ),
    "DistributedRFFT": _on((8, 8), SPLIT, d.DistributedRFFT),
    "DistributedRestriction": _on((64,), SPLIT, lambda S: d.DistributedRestriction(S, slice(0, 16))),
    "DistributedRoll": _on((64,), SPLIT, lambda S: d.DistributedRoll(S, 1)),
    "DistributedSmoothing": _on((64,), SPLIT, lambda S: d.DistributedSmoothing(S, 3)),
    "DistributedSparseMatrix": _on((64,), SPLIT, lambda S: d.DistributedSparseMatrix(_stencil(S), S)),
    "DistributedSymmetrise": _on((64,), SPLIT, d.DistributedSymmetrise),
    "DistributedWindows": _on((64,), SPLIT, lambda S: d.DistributedWindows(S, 3)),
    "Finish": _on((64,), SPLIT, lambda S: d.Finish(S, S.with_roles(p=COPIES)) @ d.Start(S, S.with_roles(p=COPIES))),
    "Gather": _between(SPLIT, ROOT),
    "HaloExchange": _on((64,), SPLIT, lambda S: d.HaloExchange(S, {0: (1, 1)})),
    "Local": _on((64,), SPLIT, lambda S: d.DistributedDiagonal(np.ones(64), S)),
    "Move": _between(ROOT, OTHER),
    "Pick": _between(REPLICATED, ROOT),
    "PrefixSum": _on((64,), COPIES, lambda S: d.PrefixSum(S, "p")),
    "ReduceScatter": _between(COPIES, SPLIT),
    "Repartition": _on((8, 8), SPLIT, lambda S: d.Movement(S, S.with_roles(p=d.Split(1)))),
    "Scatter": _between(ROOT, SPLIT),
    "Shift": _on((64,), COPIES, lambda S: d.Shift(S, 1, "p")),
    "Slice": _between(REPLICATED, SPLIT),
    "SumReduce": _between(COPIES, ROOT),
    "UnevenAllToAll": _on((64,), SPLIT, lambda S: d.UnevenAllToAll(S, [1, 2, 4, 9])),
}


def communicated(name: str) -> str:
    """Return what the busiest of four ranks sends for the example of an operator, and for its adjoint."""

    def main(world: d.World) -> list[d.ParallelCost]:
        A = EXAMPLES[name](world)
        return [cost(X) + d.ParallelCost() for X in (A, A.H)]

    there, back = (f"{found.messages}, {found.sent}" for found in d.simulate(4, main)[0])
    return f"| A: {there}\n       | A\\*: {back}"


def tables(package: str) -> list[tuple[list[str], dict[str, str]]]:
    """Return the tables of a package's public operators, each with the names of those that it is about.

    A table stands in the docstring of a class, or in that of its module, for all that the module defines.
    """
    listed: dict[str, tuple[list[str], dict[str, str]]] = {}
    public = importlib.import_module(package)
    missing = []
    for name in public.__all__:
        operator = getattr(public, name)
        module = inspect.getmodule(operator)
        if module is None or not module.__name__.startswith(package):
            continue
        of_class = first_table(inspect.cleandoc(operator.__doc__ or "")) if _is_operator(operator) else {}
        table = of_class or first_table(module.__doc__ or "")
        if table:
            listed.setdefault(name if of_class else module.__name__, ([], table))[0].append(name)
        elif _is_operator(operator) and operator is not LinearOperator:
            missing.append(name)
    if missing:
        raise ValueError(f"neither {', '.join(missing)} nor their modules begin with a table of {', '.join(ROWS)}")
    return sorted(listed.values(), key=lambda item: item[0][0].lower())


def _is_operator(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, LinearOperator)


class Catalogue(SphinxDirective):
    """One row for each table of operators."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the table, and let Sphinx read it."""
        package = self.arguments[0]
        parallel = package == "distdl_ops"
        head = ["name", "A x", "A* y", "matrix", *(["messages, bytes"] if parallel else [])]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        cells = [head]
        for names, table in tables(package):
            links = ", ".join(f":obj:`~{package}.{name}`" for name in names)
            sent = [communicated(name) for name in names if name in EXAMPLES][:1] or ["by its roles"]
            cells.append([links, *(table[row] for row in ROWS), *(sent if parallel else [])])
        for row in cells:
            for place, cell in enumerate(row):
                lines += f"   {' ' if place else '*'} - {cell}".split("\n")
        found = nodes.Element()
        self.state.nested_parse(StringList(lines, source=package), self.content_offset, found)
        return found.children


def setup(app: Any) -> dict[str, Any]:
    """Make the directive known to Sphinx."""
    app.add_directive("operator-catalogue", Catalogue)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
