"""A spectral convolution across ranks equals the sequential one, and that one is what its formula says."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import At, DistributedSpace, Grid, Replicated, Role, Split, World
from distdl_ops.testing import on_ranks, splits, world_sizes
from linop import SpaceError, assert_adjoint
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, normal

LAYERS: dict[int, Any] = {1: nn.SpectralConv1d, 2: nn.SpectralConv2d, 3: nn.SpectralConv3d}


@st.composite
def modes_of(draw: st.DrawFn, extents: list[int]) -> tuple[int, ...]:
    """Draw how many modes to keep: from one to all of them."""
    most = [n // 2 for n in extents[:-1]] + [extents[-1] // 2 + 1]
    return tuple(draw(st.integers(1, m)) for m in most)


@st.composite
def roles_of(draw: st.DrawFn, axes: dict[str, int], shape: tuple[int, ...]) -> dict[str, Role]:
    """Draw layouts that split at most as many axes, channels among them, as there are spatial ones."""
    roles: dict[str, Role] = {}
    left, count = list(range(len(shape))), 0
    for name, length in axes.items():
        if count < len(shape) - 1 and draw(st.integers(0, 3)):
            axis = left.pop(draw(st.integers(0, len(left) - 1)))
            roles[name] = draw(splits(axis, shape[axis], length, once=True))
            count += 1
        else:
            roles[name] = draw(st.sampled_from([Replicated(), At(draw(st.integers(0, length - 1)))]))
    return roles


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@given(data=st.data(), size=world_sizes())
def test_spectral_conv(data: st.DataObject, size: int, dimensions: int) -> None:
    """Split in space and channels, in any intervals, to any layout of the output, for any modes."""
    axes, left = {}, size
    for name in ("rows", "cols", "more")[: dimensions + 1]:
        axes[name] = data.draw(st.integers(1, left))
        left //= axes[name]
    extents = data.draw(st.lists(st.integers(2, 7), min_size=dimensions, max_size=dimensions))
    inputs, outputs = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    modes = data.draw(modes_of(extents))
    roles = data.draw(roles_of(axes, (inputs, *extents)))
    target = data.draw(st.none() | roles_of(axes, (outputs, *extents)))

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, (inputs, *extents), **roles)
        codomain = target and DistributedSpace(grid, (outputs, *extents), **target)
        layer = LAYERS[dimensions](inputs, outputs, modes, domain=domain, codomain=codomain)
        assert layer.codomain.roles == (codomain or layer.codomain).roles
        sequential = nn.SequentialSpectralConv(inputs, outputs, modes, dtype=torch.float64)
        assert_equal_sequential(layer, sequential, domain, layer.codomain)
        assert_adjoint(layer.analysis.operator)
        assert_adjoint(layer.synthesis.operator)

    on_ranks(size, main)


@pytest.mark.serial
@given(st.data(), st.lists(st.integers(2, 6), min_size=1, max_size=3))
def test_the_sequential_layer_is_its_formula(data: st.DataObject, extents: list[int]) -> None:
    """A wave exp(2 pi i k j / n) of a kept frequency, and its mirror image, are multiplied by the weight of k."""
    modes = data.draw(modes_of(extents))
    layer = nn.SequentialSpectralConv(2, 3, modes, dtype=torch.float64)
    place = tuple(data.draw(st.integers(0, n - 1)) for n in layer.weight.shape[2:-1])
    k = [p if p < m else p - 2 * m for p, m in zip(place, modes, strict=True)]
    axes = [torch.arange(n, dtype=torch.float64) / n for n in extents]
    phases = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) @ torch.tensor(k, dtype=torch.float64)
    wave = torch.exp(2j * math.pi * phases)
    amplitudes = torch.complex(normal(0, (2,)), normal(1, (2,)))
    own_mirror = all(2 * f % n == 0 for f, n in zip(k, extents, strict=True))
    # Where the mirror image of a wave of this frequency is among the kept ones, it has a weight of its own.
    alone = own_mirror or 2 * k[-1] % extents[-1] != 0
    if not alone:
        return
    x = (amplitudes[:, *[None] * len(extents)] * wave).real
    weight = torch.view_as_complex(layer.weight.detach())[(slice(None), slice(None), *place)]
    numbers = weight.T @ (amplitudes.real + 0j if own_mirror else amplitudes)
    y = (numbers[:, *[None] * len(extents)] * wave).real
    torch.testing.assert_close(layer(x).detach(), y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_modes_are_dropped_before_they_move(ranks: int) -> None:
    """Of 3 x 32 x 32 numbers, 3 x 2 modes of each row go to other ranks; the weight is stored once."""

    def main(world: World) -> tuple[str, int]:
        domain = DistributedSpace(Grid(world, p=ranks), (3, 32, 32), p=Split(1))
        layer = nn.SpectralConv2d(3, 3, (4, 6), domain=domain)
        return str(layer.analysis.operator), layer.weight.numel()

    found = on_ranks(ranks, main)
    assert sum(count for _, count in found) == 3 * 3 * 8 * 6 * 2
    assert len({text for text, _ in found}) == 1
    assert found[0][0].count("Repartition(p)") == 1


@pytest.mark.parametrize("ranks", [2], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"modes": 5}, "at most 3 modes along axis 1 of 6 points, found 5"),
        ({"modes": (3, 6)}, "at most 5 modes along axis 2 of 8 points, found 6"),
        ({"modes": (3,)}, "expected modes to be 1 or more"),
        ({"in_channels": 2}, r"domain of shape \(2, \.\.\.\)"),
    ],
)
def test_what_cannot_be(ranks: int, arguments: dict[str, Any], complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank, and the error names it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (3, 6, 8), p=Split(1))
        with pytest.raises(SpaceError, match=f"SpectralConv2d on .*{complaint}"):
            nn.SpectralConv2d(**{"in_channels": 3, "out_channels": 3, "modes": 2, **arguments}, domain=domain)

    on_ranks(ranks, main)
