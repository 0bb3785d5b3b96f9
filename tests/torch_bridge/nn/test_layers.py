"""What holds for every layer."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from distdl_ops import DistributedSpace, Grid, Split, World
from distdl_ops.testing import on_ranks
from torch_bridge import nn

IMAGES = (4, 8, 8)

LAYERS: dict[str, Callable[[DistributedSpace], Any]] = {
    "Conv2d": lambda X: nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular", domain=X),
    "MaxPool2d": lambda X: nn.MaxPool2d(3, 2, 1, domain=X),
    "AvgPool2d": lambda X: nn.AvgPool2d(3, 2, 1, domain=X),
    "LPPool2d": lambda X: nn.LPPool2d(2, 3, domain=X),
    "AdaptiveAvgPool2d": lambda X: nn.AdaptiveAvgPool2d(3, domain=X),
    "AdaptiveMaxPool2d": lambda X: nn.AdaptiveMaxPool2d(3, domain=X),
    "BatchNorm2d": lambda X: nn.BatchNorm2d(4, domain=X),
    "InstanceNorm2d": lambda X: nn.InstanceNorm2d(4, affine=True, track_running_stats=True, domain=X),
    "GroupNorm": lambda X: nn.GroupNorm(2, 4, domain=X),
    "LayerNorm": lambda X: nn.LayerNorm(IMAGES, domain=X),
    "RMSNorm": lambda X: nn.RMSNorm(8, domain=X),
    "Linear": lambda X: nn.Linear(8, 3, domain=X),
    "MultiheadAttention": lambda X: nn.MultiheadAttention(8, 2, domain=X, ring_axis="p"),
    "MLP": lambda X: nn.MLP(8, [3, 8], domain=X, axis="p"),
    "TransformerEncoderLayer": lambda X: nn.TransformerEncoderLayer(8, 2, 6, domain=X, model_axis="p"),
    "SpectralConv2d": lambda X: nn.SpectralConv2d(4, 2, 3, domain=X),
    "Dropout": lambda X: nn.Dropout(domain=X),
    "Dropout2d": lambda X: nn.Dropout2d(domain=X),
    "Upsample": lambda X: nn.Upsample(scale_factor=1.5, mode="bicubic", domain=X),
    "PixelShuffle": lambda X: nn.PixelShuffle(2, domain=X),
    "PixelUnshuffle": lambda X: nn.PixelUnshuffle(2, domain=X),
}


def applied(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """Return what a layer makes of a tensor; of attention, to itself."""
    y: torch.Tensor = layer(x, x, x)[0] if isinstance(layer, nn.MultiheadAttention) else layer(x)
    return y


@pytest.mark.parametrize("name", list(LAYERS))
@pytest.mark.parametrize("ranks", [3], indirect=True)
def test_single_precision(ranks: int, name: str) -> None:
    """In a space of single precision, parameters, buffers, values and gradients have it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), IMAGES, "float32", p=Split(1))
        layer = LAYERS[name](domain)
        x = torch.rand((2, *domain.shape)).requires_grad_()
        y = applied(layer, x)
        y.sum().backward()
        numbers = [y, x.grad, *layer.parameters(), *(p.grad for p in layer.parameters()), *layer.buffers()]
        assert {number.dtype for number in numbers if number.is_floating_point()} == {torch.float32}
        assert tuple(y.shape) == (2, *layer.codomain.shape)

    on_ranks(ranks, main)


@pytest.mark.parametrize("name", list(LAYERS))
@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_copies_of_a_layer(ranks: int, name: str) -> None:
    """A deep copy has parameters of its own, and gives the same results."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), IMAGES, p=Split(1))
        layer = LAYERS[name](domain)
        other = copy.deepcopy(layer)
        x = torch.ones((2, *domain.shape), dtype=torch.float64)
        assert torch.equal(applied(layer, x), applied(other, x))
        for parameter in other.parameters():
            parameter.data.zero_()
        assert all(bool(p.any()) for n, p in layer.named_parameters() if "bias" not in n)
        assert nn.gather_state(other).keys() == nn.gather_state(layer).keys()

    on_ranks(ranks, main)
