"""One harness for all rules: a function of torch on distributed tensors beside the same function in one process.

    @given(layouts((2, 3, 5), (4, 3, 3)))
    def test_a_convolution_is_that_of_one_process(layout):
        agrees(layout, F.conv1d, normal(2, 3, 5), normal(4, 3, 3))

`layouts` draws how many ranks there are, a grid of up to three axes, and for each tensor one role along each axis: it
is replicated, or split into intervals that are balanced, uneven, empty, in another order, nested, or into cyclic
blocks. `agrees` compares values, shapes, dtypes, and the gradients of all tensors that require one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import torch

from distdl_ops import Cyclic, Grid, Replicated, Split, World
from distdl_ops.layouts.roles import Role
from distdl_ops.testing import on_ranks, world_sizes
from torch_bridge.tensors import DistributedTensor, distribute_tensor

TOLERANCE = {
    torch.float64: 1e-12,
    torch.complex128: 1e-12,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 2e-2,
}
"""How far results may be apart, by dtype, of the largest entry: sums of a few hundred terms in another order."""


@dataclass(frozen=True)
class Layouts:
    """How some tensors lie: what hypothesis draws, before there is a world.

    Attributes
    ----------
    size : int
        How many ranks there are.
    axes : dict
        Lengths of the grid axes by name.
    roles : tuple of dict
        For each tensor, a role for each grid axis.
    """

    size: int
    axes: dict[str, int]
    roles: tuple[dict[str, Role], ...]

    def __repr__(self) -> str:
        return f"Layouts({self.size}, {self.axes}, {self.roles})"


@st.composite
def layouts(draw: st.DrawFn, *shapes: Sequence[int], largest: int = 4, whole: Sequence[Sequence[int]] = ()) -> Layouts:
    """Return layouts of tensors with these shapes on one grid.

    Parameters
    ----------
    *shapes : sequence of int
        Of the tensors.
    largest : int, optional
        How many ranks to simulate at most.
    whole : sequence of sequence of int, optional
        For each tensor, axes that are not split.
    """
    size = draw(world_sizes(largest))
    names = ("rows", "cols", "more")[: draw(st.integers(1, 3))]
    lengths = [
        lengths for lengths in itertools.product(range(1, size + 1), repeat=len(names)) if math.prod(lengths) == size
    ]
    axes = dict(zip(names, draw(st.sampled_from(lengths)), strict=True))
    roles = []
    for k, shape in enumerate(shapes):
        free = [axis for axis in range(len(shape)) if k >= len(whole) or axis not in whole[k]]
        chosen: dict[str, Role] = {}
        taken: list[int] = []
        for name, length in axes.items():
            if not free or not draw(st.sampled_from([True, True, False])):
                chosen[name] = Replicated()
                continue
            if taken and draw(st.integers(0, 4)) == 0:
                chosen[name] = Split(draw(st.sampled_from(taken)))  # nested: parts of parts
                continue
            taken.append(free.pop(draw(st.integers(0, len(free) - 1))))
            chosen[name] = draw(_splits(taken[-1], shape[taken[-1]], length))
        roles.append(chosen)
    return Layouts(size, axes, tuple(roles))


@st.composite
def _splits(draw: st.DrawFn, axis: int, extent: int, parts: int) -> Role:
    """Return ways to split a tensor axis: balanced, uneven, with empty parts, in another order, in cyclic blocks."""
    kind = draw(st.sampled_from(["balanced", "balanced", "uneven", "uneven", "permuted", "cyclic"]))
    if kind == "cyclic":
        return Cyclic(axis, draw(st.integers(1, 2)))
    if kind == "balanced":
        return Split(axis)
    cuts = sorted(draw(st.lists(st.integers(0, extent), min_size=parts - 1, max_size=parts - 1)))
    intervals = list(itertools.pairwise([0, *cuts, extent]))
    return Split(axis, draw(st.permutations(intervals)) if kind == "permuted" else intervals)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64, grad: bool = True) -> torch.Tensor:
    """Return normal numbers, the same on every rank, that require a gradient."""
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(1000 * len(shape) + seed), dtype=torch.float64)
    return numbers.to(dtype).requires_grad_(grad)


def agrees(
    layout: Layouts,
    function: Callable[..., Any],
    *tensors: torch.Tensor,
    tolerance: float | None = None,
    changed: Sequence[int] = (),
) -> None:
    """Raise unless a function is the same on distributed tensors: its results, and the gradients of all tensors.

    Parameters
    ----------
    layout : Layouts
        How the tensors lie.
    function : callable
        Of the tensors; it returns a tensor, or a tuple or list of tensors.
    *tensors : torch.Tensor
        Plain ones, the same on every rank.
    tolerance : float, optional
        By default, that of the results' dtype.
    changed : sequence of int, optional
        Which of the tensors the function changes in place.
    """
    expected, gradients, leaves, cotangents = _in_one_process(function, tensors)

    def main(world: World) -> None:
        grid = Grid(world, **layout.axes)
        parts: list[Any] = [
            distribute_tensor(tensor.detach().clone(), grid, **roles).requires_grad_(tensor.requires_grad)
            for tensor, roles in zip(tensors, layout.roles, strict=True)
        ]
        results = _listed(function(*parts))
        assert len(results) == len(expected)
        whole = [
            result.full_tensor().to_local() if isinstance(result, DistributedTensor) else result for result in results
        ]
        for k, (result, one) in enumerate(zip(whole, expected, strict=True)):
            _compare(f"result {k}", result, one, tolerance)
        for k in changed:
            _compare(f"argument {k}, changed", parts[k].full_tensor().to_local(), leaves[k], tolerance)
        if cotangents:
            torch.autograd.backward([whole[k] for k in cotangents], list(cotangents.values()))
            for k, (part, one) in enumerate(zip(parts, gradients, strict=True)):
                if one is not None:
                    assert part.grad is not None, f"no gradient of argument {k}"
                    _compare(f"gradient of argument {k}", part.grad.full_tensor().to_local(), one, tolerance)

    on_ranks(layout.size, main)


def holds(data: st.DataObject, function: Callable[..., Any], *given: Any, **options: Any) -> None:
    """Raise unless a function `agrees` on layouts that are drawn; tensors may be given as shapes of normal numbers."""
    tensors = [normal(*x, seed=k) if isinstance(x, tuple) else x for k, x in enumerate(given)]
    agrees(data.draw(layouts(*(tuple(x.shape) for x in tensors))), function, *tensors, **options)


def _in_one_process(
    function: Callable[..., Any], tensors: Sequence[torch.Tensor]
) -> tuple[list[torch.Tensor], list[torch.Tensor | None], list[torch.Tensor], dict[int, torch.Tensor]]:
    """Return results, gradients, the arguments afterwards, and a cotangent for each result that has a gradient."""
    leaves = [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in tensors]
    expected = _listed(function(*leaves))
    generator = torch.Generator().manual_seed(7)
    cotangents = {
        k: torch.randn(result.shape, generator=generator, dtype=torch.float64).to(result.dtype)
        for k, result in enumerate(expected)
        if result.requires_grad
    }
    if cotangents:
        torch.autograd.backward([expected[k] for k in cotangents], list(cotangents.values()))
    return expected, [leaf.grad for leaf in leaves], leaves, cotangents


def _listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _compare(what: str, result: torch.Tensor, expected: torch.Tensor, tolerance: float | None) -> None:
    """Raise unless two tensors are the same up to rounding."""
    result, expected = result.detach(), expected.detach()
    assert result.shape == expected.shape, f"{what}: expected shape {expected.shape}, found {result.shape}"
    assert result.dtype == expected.dtype, f"{what}: expected {expected.dtype}, found {result.dtype}"
    if tolerance is None:
        tolerance = TOLERANCE.get(expected.dtype, 0.0)
    finite = expected[torch.isfinite(expected)].to(torch.complex128).abs()
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    torch.testing.assert_close(
        result, expected, rtol=tolerance, atol=tolerance * scale, equal_nan=True, msg=lambda text: f"{what}: {text}"
    )


__all__ = ["DistributedTensor", "Layouts", "agrees", "holds", "layouts", "normal"]
