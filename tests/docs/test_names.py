"""The check that every public name is documented."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("numpydoc")
pytestmark = pytest.mark.serial


@pytest.fixture(scope="module")
def names() -> ModuleType:
    spec = importlib.util.spec_from_file_location("names", Path(__file__).parents[2] / "docs" / "_ext" / "names.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def right(x: Any) -> Any:
    """Return x.

    Parameters
    ----------
    x : array, shape (n,)
        Anything.

    Examples
    --------
    >>> right(1)
    1
    """
    return x


def edited(found: str, put: str) -> Any:
    """Return a function with another docstring."""

    def function(x: Any) -> Any:
        return x

    assert found in (right.__doc__ or "")
    function.__doc__ = (right.__doc__ or "").replace(found, put)
    return function


def test_what_is_documented_passes(names: ModuleType) -> None:
    """A docstring with parameters, shapes and an example lacks nothing."""
    assert list(names.faults_of("right", right)) == []


@pytest.mark.parametrize(
    ("found", "put", "fault"),
    [
        (", shape (n,)", "", "f: x has a type 'array', and no shape"),
        ("    x : array", "    y : array", "f: no word about x"),
        ("    Examples\n    --------\n    >>> right(1)\n    1\n", "", "f: no example"),
    ],
)
def test_what_is_missing_is_named(names: ModuleType, found: str, put: str, fault: str) -> None:
    """Each thing that is taken out of the docstring is the one fault."""
    assert list(names.faults_of("f", edited(found, put))) == [fault]


def test_no_docstring_is_a_fault(names: ModuleType) -> None:
    """Without a docstring nothing else is asked."""

    def bare(x: Any) -> Any:
        return x

    assert list(names.faults_of("bare", bare)) == ["bare: no docstring"]


def test_the_library_is_documented(names: ModuleType) -> None:
    """No public name lacks anything."""
    assert list(names.all_faults()) == []


def test_what_needs_a_picture(names: ModuleType) -> None:
    """Operators, and functions with the name of one; no spaces, questions or abstract bases."""
    pictured = {
        "distdl_ops": ["Movement", "Broadcast"],
        "linop": ["Identity", "Gradient"],
    }
    others = {"distdl_ops": ["Grid", "Split", "draw"], "linop": ["Euclidean", "LinearOperator", "norm_estimate"]}
    for package, found in pictured.items():
        module = importlib.import_module(package)
        assert all(names.is_operator(f"{package}.{name}", getattr(module, name)) for name in found)
    for package, found in others.items():
        module = importlib.import_module(package)
        assert not any(names.is_operator(f"{package}.{name}", getattr(module, name)) for name in found)


def test_a_missing_picture_is_a_fault(names: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's title has the names that it shows."""
    assert names.pictures()["linop.Kron"] == "operators/kron"
    rest = {name: script for name, script in names.pictures().items() if name != "linop.Kron"}
    monkeypatch.setattr(names, "pictures", lambda: rest)
    assert list(names.all_faults()) == ["linop.Kron: no picture in docs/gallery"]
