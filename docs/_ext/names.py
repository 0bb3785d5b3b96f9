"""Checks that every public name has a docstring with its parameters, their shapes, and an example: ``python names.py``.

Operators need a picture, too: a script of the gallery that has them in its title.

What a docstring contains is numpydoc's to find out. Public is what a package lists in ``__all__``, and what a public
class adds to its base without an underscore. Of a dataclass, its attributes are its parameters.
"""

import dataclasses
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpydoc.docscrape import NumpyDocString, Parameter

PACKAGES = ("linop", "linop.solve", "distdl_ops", "torch_bridge", "torch_bridge.tensors")

TESTING = ("linop.testing", "distdl_ops.testing")
"""Not each strategy needs an example."""

SHAPED = re.compile(r"\b(arrays?|array_like|ndarray|[Tt]ensors?)\b")
"""Types that have a shape."""

SHAPE = re.compile(r"shape|number|scalar|vector|in the (domain|codomain|space)")
"""Words that say which one."""


GALLERY = {"movements": "distdl_ops", "compositions": "distdl_ops", "operators": "linop"}
"""The package that the scripts of each section show."""


def pictures() -> dict[str, str]:
    """Return the script of the gallery that shows a public name, as a path without its ending."""
    found = {}
    for section, package in GALLERY.items():
        for script in (Path(__file__).parent.parent / "gallery" / section).glob("*.py"):
            title = script.read_text(encoding="utf-8").split("\n")[1]
            found |= {f"{package}.{name}": f"{section}/{script.stem}" for name in title.split(", ")}
    return found


def is_operator(name: str, thing: Any) -> bool:
    """Whether a name is one of an operator, or of a function that makes one: these have capitals."""
    package, _, last = name.rpartition(".")
    if package not in GALLERY.values() or not last[0].isupper() or last == "LinearOperator":
        return False
    bases = {base.__name__ for base in thing.__mro__} if inspect.isclass(thing) else set()
    return inspect.isfunction(thing) or "LinearOperator" in bases


def faults_of(name: str, thing: Any, *, example: bool = True) -> Iterator[str]:
    """Yield what the docstring of a class, function or method lacks."""
    if not (thing.__doc__ or "").strip():
        yield f"{name}: no docstring"
        return
    doc = NumpyDocString(inspect.cleandoc(thing.__doc__))
    told = [each for section in ("Parameters", "Other Parameters", "Attributes") for each in doc[section]]
    documented = {one.strip().lstrip("*") for each in told for one in each.name.split(",")}
    missing = [parameter for parameter in parameters_of(thing) if parameter not in documented]
    if missing and (len(missing) > 1 or example):  # a method of one argument says in its sentence what it is
        yield f"{name}: no word about {', '.join(missing)}"
    yield from (f"{name}: {each.name} has a type {each.type!r}, and no shape" for each in told if _shapeless(each))
    error = inspect.isclass(thing) and issubclass(thing, BaseException)
    if example and not error and not doc["Examples"]:
        yield f"{name}: no example"


def parameters_of(thing: Any) -> list[str]:
    """Return the names of the parameters that somebody passes."""
    if inspect.isclass(thing) and inspect.isabstract(thing):
        return []
    if inspect.isclass(thing) and issubclass(thing, BaseException | tuple | list):
        return list(getattr(thing, "_fields", ()))
    try:
        found = list(inspect.signature(thing).parameters)
    except ValueError:  # a constructor in C, which nobody calls: other functions make these
        return []
    if dataclasses.is_dataclass(thing):
        found = [field.name for field in dataclasses.fields(thing) if field.init]
    return [parameter for parameter in found if parameter not in ("self", "cls") and not parameter.startswith("_")]


def _shapeless(parameter: Parameter) -> bool:
    """Whether a parameter is an array whose shape is told nowhere."""
    told = " ".join((parameter.type, *parameter.desc))
    return bool(SHAPED.search(parameter.type)) and not SHAPE.search(told) and "(" not in parameter.type


def members_of(name: str, thing: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class defines itself."""
    for member, value in vars(thing).items():
        if not member.startswith("_"):
            function = value.fget if isinstance(value, property) else value
            function = getattr(function, "func", function) if isinstance(value, functools.cached_property) else function
            if isinstance(function, classmethod | staticmethod):
                function = function.__func__
            if inspect.isfunction(function):
                yield f"{name}.{member}", function


def all_faults() -> Iterator[str]:
    """Yield what every public name lacks."""
    shown = pictures()
    for package in (*PACKAGES, *TESTING):
        module = importlib.import_module(package)
        if not module.__doc__:
            yield f"{package}: no docstring"
        for public in module.__all__:
            name, thing = f"{package}.{public}", getattr(module, public)
            if not callable(thing):
                continue
            yield from faults_of(name, thing, example=package not in TESTING)
            if is_operator(name, thing) and name not in shown:
                yield f"{name}: no picture in docs/gallery"
            if inspect.isclass(thing):
                inherited = {member for base in thing.__mro__[1:] for member in vars(base)}
                for member, function in members_of(name, thing):
                    if member.rpartition(".")[2] not in inherited:  # else the base has said it
                        yield from faults_of(member, function, example=False)


if __name__ == "__main__":
    found = sorted(set(all_faults()))
    print(*found, f"{len(found)} faults in the docstrings of public names", sep="\n")
    sys.exit(bool(found))
