"""The functions of torch that have a name, wherever torch keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional

_PLACES: tuple[Any, ...] = (
    torch,
    torch.Tensor,
    torch.nn.functional,
    torch.special,
    torch.linalg,
    torch.fft,
    torch._C._nn,
    torch._C._VariableFunctions,
)


def named(*names: str) -> list[Any]:
    """Return every function with one of these names: ``torch.add``, ``torch.Tensor.add``, ``torch.Tensor.__add__``.

    Raises
    ------
    AttributeError
        When torch has no function of a name.
    """
    functions: list[Any] = []
    for name in names:
        known = [function for place in _PLACES if callable(function := getattr(place, name, None))]
        if not known:
            raise AttributeError(f"torch has no function {name!r}")
        functions += known
    return list(dict.fromkeys(functions))


def known(*names: str) -> list[Any]:
    """Return the functions of those names that this version of torch has."""
    return [function for name in names if _has(name) for function in named(name)]


def _has(name: str) -> bool:
    return any(callable(getattr(place, name, None)) for place in _PLACES)


def in_place(functions: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each method of torch that changes its first argument, with the function that returns a fresh result."""
    for function in functions:
        name = getattr(function, "__name__", "")
        for place in (torch.Tensor, torch, torch.nn.functional, torch._C._nn):
            changing = getattr(place, f"{name}_", None)
            if callable(changing):
                yield changing, function
