"""Arrows point one way: torch_bridge -> distdl_ops -> linop; and nothing imports what it does not need."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.serial

ROOT = Path(__file__).parent.parent

PACKAGES = ("linop", "distdl_ops", "torch_bridge")

OPTIONAL = {"IPython", "hypothesis", "matplotlib", "mpi4py", "pylops", "safetensors", "scipy", "torch", "tqdm"}
"""Other libraries that a function may import, so that a package works where they are absent, or starts sooner."""

ALGEBRA = ("operator", "expression", "adjoint", "compose", "sum", "scale", "identity", "zero")
CORE = {"linop.core", *(f"linop.core.{name}" for name in ALGEBRA)}
"""An algebra is closed under its operations: these files make each other's operators."""


def name_of(file: Path) -> str:
    """Return the name of the module in a file."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    """Return the modules of the three packages, by their names."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return {name_of(file): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def imported(statement: ast.AST) -> Iterator[str]:
    """Yield what a statement imports: of ``from package import name``, the module of that name where it is one."""
    if isinstance(statement, ast.Import):
        yield from (each.name for each in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        assert statement.module is not None, "imports are absolute"
        for each in statement.names:
            inside = f"{statement.module}.{each.name}"
            yield inside if inside in modules() else statement.module


def imports_of(name: str) -> set[str]:
    """Return what a module imports of the three packages, wherever the import stands: in a function, for types only."""
    everything = {each for statement in ast.walk(modules()[name]) for each in imported(statement)}
    return {each for each in everything if each in modules() and each != name}


def is_optional(name: str) -> bool:
    """Say whether an import is of an optional library, or of a module that imports one at its top."""
    package = name.partition(".")[0]
    statements = modules()[name].body if name in modules() else []
    at_once = {each.partition(".")[0] for statement in statements for each in imported(statement)}
    needed = {"torch"} if package == "torch_bridge" else set()
    return package in OPTIONAL or bool(at_once & OPTIONAL - needed)


def circles(package: str) -> list[set[str]]:
    """Return the sets of a package's modules that import each other (strongly connected components, by Tarjan)."""
    graph = {name: {each for each in imports_of(name) if each.split(".")[0] == package} for name in modules()}
    low: dict[str, int] = {}
    path: list[str] = []
    done: set[str] = set()
    components: list[set[str]] = []

    def visit(name: str) -> int:
        number = low[name] = len(low)
        place = len(path)
        path.append(name)
        for each in sorted(graph[name] - done):
            low[name] = min(low[name], low[each] if each in low else visit(each))
        if low[name] == number:
            component = set(path[place:])
            del path[place:]
            done.update(component)
            if len(component) > 1:
                components.append(component)
        return low[name]

    for name in sorted(graph):
        if name.split(".")[0] == package and name not in low:
            visit(name)
    return components


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_files_import_each_other_but_those_of_the_algebra(package: str) -> None:
    """Only those of ``linop.core`` do, with imports in functions and for types counted."""
    others = [sorted(circle) for circle in circles(package) if not circle <= CORE]
    assert others == []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_inside_functions_are_of_optional_libraries(package: str) -> None:
    """Or of a module that needs one. All others stand at the top of the file, where a reader looks for them."""
    hidden = set()
    for name, module in modules().items():
        if name.split(".")[0] == package:
            for function in ast.walk(module):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    inside = {each for statement in ast.walk(function) for each in imported(statement)}
                    hidden |= {(name, each) for each in inside if not is_optional(each)}
    assert sorted(hidden) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_downwards(package: str) -> None:
    """torch_bridge imports distdl_ops and linop; distdl_ops imports linop; linop imports neither."""
    above = PACKAGES[PACKAGES.index(package) + 1 :]
    upward = {
        (name, each)
        for name in modules()
        for each in imports_of(name)
        if name.split(".")[0] == package and each.split(".")[0] in above
    }
    assert sorted(upward) == []


@pytest.mark.parametrize("package", ["linop.queries.cost", "linop.queries.inverse", "linop.rewriting.rules"])
def test_what_an_operator_answers_stands_beside_it(package: str) -> None:
    """The general questions and rules import no operator and no block: a new one touches its own file."""
    operators = {each for each in imports_of(package) if each.startswith(("linop.operators", "linop.blocks"))}
    assert sorted(operators) == []


@pytest.mark.parametrize(
    ("package", "absent"),
    [
        ("linop", ["torch", "mpi4py", "scipy", "hypothesis", "matplotlib", "distdl_ops", "torch_bridge"]),
        ("distdl_ops", ["torch", "mpi4py", "scipy", "hypothesis", "matplotlib", "torch_bridge"]),
        ("torch_bridge", ["mpi4py", "scipy", "hypothesis"]),
    ],
)
def test_import_brings_only_what_is_needed(package: str, absent: list[str]) -> None:
    """With the other packages blocked, the import succeeds."""
    block = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import {package}"
    subprocess.run([sys.executable, "-c", block], check=True, timeout=120)


@pytest.mark.parametrize("name", ["Conv2d", "DataParallel", "save_checkpoint"])
def test_what_is_gone_names_what_is_there_instead(name: str) -> None:
    """Programs of the release before get an error that says what to write."""
    nn = importlib.import_module("torch_bridge.nn")
    with pytest.raises(ImportError, match=f"torch_bridge.nn.{name} is gone: .*torch_bridge"):
        getattr(nn, name)
