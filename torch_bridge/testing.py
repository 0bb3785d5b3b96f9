"""Hold a distributed layer against the sequential one, on any layout that hypothesis draws."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from distdl_ops import At, DistributedSpace, Replicated, Role
from distdl_ops.testing import splits
from linop import assert_adjoint
from torch_bridge.nn.parameters import gather_state, movements, parameter_spaces

__all__ = ["CLOSE", "assert_equal_sequential", "layouts", "normal"]

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
"""Sums of at most some hundred products of numbers of order one, in another order: a few hundred roundings."""


def normal(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Return normal numbers in double precision, the same on every rank.

    Parameters
    ----------
    seed : int
        Where they are drawn from.
    shape : tuple of int
        Of the tensor.

    Examples
    --------
    >>> normal(0, (2, 3)).equal(normal(0, (2, 3)))
    True
    """
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@st.composite
def layouts(draw: st.DrawFn, axes: dict[str, int], shape: tuple[int, ...], free: Sequence[int]) -> dict[str, Role]:
    """Return the roles of layouts that hold each entry once, in any intervals, empty ones included.

    Parameters
    ----------
    axes : dict
        Lengths of the grid axes by name.
    shape : tuple of int
        Of the tensor.
    free : sequence of int
        The tensor axes that may be split.
    """
    roles: dict[str, Role] = {}
    left = list(free)
    for name, length in axes.items():
        kind = draw(st.sampled_from(["at", "replicated", *["split"] * 4 * bool(left)]))
        if kind == "split":
            axis = left.pop(draw(st.integers(0, len(left) - 1)))
            roles[name] = draw(splits(axis, shape[axis], length, once=True))
        else:
            roles[name] = At(draw(st.integers(0, length - 1))) if kind == "at" else Replicated()
    return roles


def assert_equal_sequential(
    layer: torch.nn.Module,
    sequential: torch.nn.Module,
    domain: DistributedSpace,
    codomain: DistributedSpace,
    *,
    x: torch.Tensor | None = None,
    batch: tuple[int, ...] = (2,),
    close: dict[str, Any] = CLOSE,
) -> None:
    """Raise unless a distributed layer equals the sequential one, that is given its state, in value and all gradients.

    The adjoint of every movement is checked as well. Collective.

    Parameters
    ----------
    layer, sequential : torch.nn.Module
        Both in double precision.
    domain, codomain : DistributedSpace
        Of the layer.
    x : tensor, shape ``(*batch, *domain.global_shape)``, optional
        The input, the same on every rank; without it, normal numbers. Whole numbers have no gradient.
    batch : tuple of int, optional
        The batch axes of these.
    close : dict, optional
        Tolerances, as for `torch.testing.assert_close`.

    Raises
    ------
    AssertionError
        On the ranks whose part differs.

    Examples
    --------
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge import nn
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (3, 8), p=Split(1))
    ...     layer = nn.Conv1d(3, 2, 3, padding=1, domain=x)
    ...     assert_equal_sequential(layer, torch.nn.Conv1d(3, 2, 3, padding=1).double(), x, layer.codomain)
    >>> simulate(2, main)
    [None, None]
    """
    sequential = copy.deepcopy(sequential)  # simulated ranks share it
    sequential.load_state_dict(gather_state(layer))
    x = normal(0, (*batch, *domain.global_shape)) if x is None else x
    whole, part = x.clone(), domain.from_global(x)
    if x.is_floating_point():
        whole.requires_grad_()
        part.requires_grad_()
    y = sequential(whole)
    found = layer(part)
    cotangent = normal(1, tuple(y.shape))
    torch.testing.assert_close(found.detach(), codomain.from_global(y.detach()), **close)
    y.backward(cotangent)
    found.backward(codomain.from_global(cotangent))
    if x.is_floating_point():
        torch.testing.assert_close(part.grad, domain.from_global(whole.grad), **close)
    own, spaces = dict(layer.named_parameters()), parameter_spaces(layer)
    for name, parameter in sequential.named_parameters():
        assert parameter.grad is not None
        gradient = parameter.grad.reshape(spaces[name].global_shape)
        torch.testing.assert_close(own[name].grad, spaces[name].from_global(gradient), **close)
        assert spaces[name].consistent(own[name].grad), f"replicas of the gradient of {name} differ"
    for name, value in gather_state(layer).items():  # running statistics have changed
        torch.testing.assert_close(value, sequential.state_dict()[name], **close)
    for movement in movements(layer).values():
        assert_adjoint(movement)
