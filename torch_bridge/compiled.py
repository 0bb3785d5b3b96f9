"""Operators in graphs that torch compiles or exports: one opaque node, which names its operator.

A graph can hold tensors and strings, but no operators. So each function has a name, and what a compiler has seen is
kept as long as the process lives: the graph may be run at any time. A graph that is loaded into another process does
not find its operators there, and says so.

A graph does not say, either, which forward call a backward pass is of. So calls in it are told apart by their number,
forward and backward each.

Torch can map such a node over a batch (vmap), and take its gradient; what else it is asked for, it refuses.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable
from typing import Any, Protocol

import torch

from distdl_ops.worlds.call import Call
from torch_bridge.compat import forward_mode_is_active
from torch_bridge.token import ANYONE


class Function(Protocol):
    """What a graph asks of a function that `torch_bridge.as_function` has made."""

    compiled_name: str

    @property
    def arity(self) -> int:
        """Number of parts of a vector of the domain."""

    @property
    def layout(self) -> str:
        """Shapes and dtypes of the result, in words."""

    @property
    def dual(self) -> Function:
        """The function of the dual operator."""

    def next_call(self) -> Call | None:
        """Return the call that the next application is."""

    def run(self, parts: Iterable[torch.Tensor], call: Call | None) -> list[torch.Tensor]:
        """Apply the operator."""

    def empty(self, parts: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return tensors like the results."""

    def batched(self, size: int, dims: Iterable[int | None], parts: Iterable[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return parts whose first axis is that of a map over a batch."""


_numbers = itertools.count()
_named: weakref.WeakValueDictionary[str, Function] = weakref.WeakValueDictionary()
_traced: dict[str, Function] = {}


def name(function: Function) -> str:
    """Return a name of its own for a function; it tells what comes out, for compilers keep graphs by their text."""
    function_name = f"{next(_numbers)} {function.layout}"
    _named[function_name] = function
    return function_name


def _function(name: str) -> Function:
    """Return the function of a name."""
    function = _named.get(name)
    if function is None:
        raise RuntimeError(f"operator {name!r} of a compiled or exported graph does not exist in this process")
    return function


def _refuse_forward_mode() -> None:
    """Raise where derivatives are wanted that torch would lose on the way, without a word."""
    if forward_mode_is_active():
        raise NotImplementedError(
            "torch has no forward mode (jvp, dual numbers) of an operator in a compiled or exported graph; "
            "differentiate the function that is not compiled"
        )


@torch.library.custom_op("torch_bridge::apply", mutates_args=())
def apply(parts: list[torch.Tensor], name: str) -> list[torch.Tensor]:
    """Apply the operator of a name to the parts of a vector. Where a token follows, one follows the result."""
    _refuse_forward_mode()
    function = _function(name)
    return [
        *function.run(parts[: function.arity], function.next_call()),
        *map(torch.zeros_like, parts[function.arity :]),
    ]


@apply.register_fake
def _shapes(parts: list[torch.Tensor], name: str) -> list[torch.Tensor]:
    """Return what a compiler needs to know of the result."""
    _refuse_forward_mode()
    function = _traced[name] = _function(name)
    return [*function.empty(parts), *map(torch.empty_like, parts[function.arity :])]


def _remember(ctx: Any, inputs: tuple[list[torch.Tensor], str], output: list[torch.Tensor]) -> None:  # noqa: ARG001
    ctx.function = _function(inputs[1])


def _backward(ctx: Any, cotangents: list[torch.Tensor]) -> tuple[list[torch.Tensor], None]:
    """Apply the adjoint.

    The token's gradient is what keeps it in the graph of a rank whose own argument requires none.
    """
    return apply(cotangents, ctx.function.dual.compiled_name), None


def _vmap(
    info: Any, in_dims: tuple[list[int | None], None], parts: list[torch.Tensor], name: str
) -> tuple[list[torch.Tensor], list[int | None]]:
    """Apply the operator to a batch."""
    function = _function(name)
    moved = function.batched(info.batch_size, in_dims[0][: function.arity], parts[: function.arity])
    tokens = [torch.zeros_like(ANYONE) for _ in parts[function.arity :]]
    results = apply([*moved, *tokens], name)
    return results, [*[0] * (len(results) - len(tokens)), *[None] * len(tokens)]


apply.register_autograd(_backward, setup_context=_remember)
apply.register_vmap(_vmap)
