"""Distributed transposed convolutions equal torch's, in value and in all gradients."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Role, Split, World
from distdl_ops.testing import grids, on_ranks, splits, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts


@given(st.data(), world_sizes(), st.integers(1, 3), st.booleans())
def test_split_in_space(data: st.DataObject, size: int, spatial: int, bias: bool) -> None:
    """One to three axes; any kernel, stride, dilation, paddings and groups; any intervals."""
    shape = (2, *(data.draw(st.integers(3, 5)) for _ in range(spatial)))
    sizes = st.tuples(*spatial * [st.integers(1, 3)])
    stride, dilation = data.draw(sizes), data.draw(sizes)
    arguments = {
        "kernel_size": data.draw(sizes),
        "stride": stride,
        "dilation": dilation,
        "padding": data.draw(st.integers(0, 1)),
        "output_padding": tuple(data.draw(st.integers(0, max(p) - 1)) for p in zip(stride, dilation, strict=True)),
        "groups": data.draw(st.sampled_from([1, 2])),
        "bias": bias,
    }
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(1, spatial + 1)))
    sequential = getattr(torch.nn, f"ConvTranspose{spatial}d")(2, 4, **arguments).double()

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, f"ConvTranspose{spatial}d")(2, 4, **arguments, domain=domain)
        assert_equal_sequential(layer, sequential, domain, layer.codomain)

    on_ranks(size, main)


@given(st.data(), world_sizes(), st.booleans())
def test_split_in_channels(data: st.DataObject, size: int, bias: bool) -> None:
    """Output channels, input channels and space lie along any axes of a grid; the result is brought to any layout."""
    axes, left = {}, size
    for name in ("rows", "columns", "space"):
        axes[name] = data.draw(st.integers(1, left))
        left //= axes[name]
    out_axis, in_axis = data.draw(st.sampled_from([("rows", "columns"), (None, "columns"), ("rows", None)]))
    groups = data.draw(st.integers(1, 3)) if in_axis is None else 1
    channels = tuple(groups * n for n in data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))))
    arguments = {"kernel_size": (3, 2), "padding": (1, 0), "stride": (2, 1), "bias": bias, "groups": groups}
    whole = torch.nn.ConvTranspose2d(*channels, **arguments).double()
    shape = (channels[0], 4, 3)
    result = tuple(whole(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])
    named = [axis for axis in (out_axis, in_axis) if axis]
    source = data.draw(channel_layouts(axes, shape, named))
    target = data.draw(st.none() | channel_layouts(axes, result, named))

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, shape, **source)
        codomain = target and DistributedSpace(grid, result, **target)
        layer = nn.ConvTranspose2d(
            *channels, **arguments, domain=domain, codomain=codomain, out_axis=out_axis, in_axis=in_axis
        )
        assert_equal_sequential(layer, whole, domain, layer.codomain)

    on_ranks(size, main)


def test_blocks_of_their_own() -> None:
    """Where each entry is spread over results of its own rank only, no image moves."""

    def main(world: World) -> list[str]:
        images = DistributedSpace(Grid(world, rows=world.size), (2, 4 * world.size, 3), rows=Split(1))
        layer = nn.ConvTranspose2d(2, 2, 2, stride=2, bias=False, domain=images)
        return list(nn.movements(layer))

    assert all(names == ["copy_weight"] for names in on_ranks(2, main))


@st.composite
def channel_layouts(draw: st.DrawFn, axes: dict[str, int], shape: tuple[int, ...], named: list[str]) -> dict[str, Role]:
    """Draw layouts whose channels are split along one of some grid axes, or not."""
    along = draw(st.sampled_from([None, *named]))
    others = {name: length for name, length in axes.items() if name != along}
    roles = draw(layouts(others, shape, range(1, len(shape))))
    if along is not None:
        roles[along] = draw(splits(0, shape[0], axes[along], once=True))
    return roles


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"output_padding": 1}, SpaceError, "output_padding below stride"),
        ({"padding": 9}, SpaceError, "nothing is left"),
        ({"groups": 2, "in_axis": "p"}, SpaceError, "groups"),
        ({"padding_mode": "reflect"}, ValueError, "zeros"),
    ],
)
def test_arguments_that_do_not_fit(ranks: int, arguments: dict[str, Any], error: Any, complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (2, 8, 8), p=Split(1))
        with pytest.raises(error, match=complaint):
            nn.ConvTranspose2d(2, 4, 3, **arguments, domain=domain)

    on_ranks(ranks, main)
