"""Random functions give the same numbers on any layout; those of one process where they fill a tensor."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import Layouts, agrees, layouts, normal
from hypothesis import given
from torch.utils.checkpoint import checkpoint

from distdl_ops import Grid, World, simulate
from distdl_ops.testing import on_ranks
from torch_bridge.tensors import distribute_tensor

FILLS: dict[str, Any] = {
    "normal_": lambda x: torch.empty_like(x).normal_(1, 2),
    "uniform_": lambda x: torch.nn.init.uniform_(x.detach().clone()),
    "kaiming": lambda x: torch.nn.init.kaiming_normal_(x.detach().clone()),
    "orthogonal": lambda x: torch.nn.init.orthogonal_(x.detach().clone()),
    "bernoulli_": lambda x: x.detach().clone().bernoulli_(0.4),
    "randn_like": torch.randn_like,
    "randint_like": lambda x: torch.randint_like(x, 10),
    "bernoulli": lambda x: torch.bernoulli(x.detach().sigmoid()),
    "multinomial": lambda x: torch.multinomial(x.detach().softmax(1), 2),
}

MASKS: dict[str, Any] = {
    "dropout": lambda x: F.dropout(x, 0.4),
    "dropout1d": lambda x: F.dropout1d(x, 0.4),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.4, True),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.4, True),
    "rand_like": torch.rand_like,
    "gumbel_softmax": lambda x: F.gumbel_softmax(x, dim=1),
    "all": lambda x: F.dropout(x, 1.0) + F.dropout(x, 0.4, training=False),
}


@pytest.mark.parametrize("name", FILLS)
@given(layouts((4, 5), largest=3))
def test_numbers_are_those_of_one_process(name: str, layout: Layouts) -> None:
    """What is filled at the beginning of a program has torch's numbers."""

    def drawn(x: Any) -> Any:
        torch.manual_seed(3)
        return FILLS[name](x)

    agrees(layout, drawn, normal(4, 5, grad=False))


@pytest.mark.parametrize("name", MASKS)
@given(layouts((3, 4, 5), largest=3))
def test_masks_do_not_depend_on_the_layout(name: str, layout: Layouts) -> None:
    """Nor do their gradients; a checkpoint draws the same mask again."""
    x = normal(3, 4, 5)

    def drawn(world: World, layout: Layouts, again: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        part: Any = distribute_tensor(x.detach(), Grid(world, **layout.axes), **layout.roles[0]).requires_grad_()
        torch.manual_seed(5)
        y: Any = checkpoint(MASKS[name], part, use_reentrant=False) if again else MASKS[name](part)
        if y.requires_grad:
            (y * torch.arange(60.0).reshape(3, 4, 5) ** 0.5).sum().backward()
        return y.full_tensor().to_local().detach(), None if part.grad is None else part.grad.full_tensor().to_local()

    expected, gradient = simulate(1, lambda world: drawn(world, Layouts(1, {"rows": 1}, ({},)), again=False))[0]

    def main(world: World) -> None:
        for again in (False, True):
            y, g = drawn(world, layout, again)
            torch.testing.assert_close(y, expected)
            torch.testing.assert_close(g, gradient)

    on_ranks(layout.size, main)
