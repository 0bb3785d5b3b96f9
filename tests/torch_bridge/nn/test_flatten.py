"""Flattening equals the sequential one, for any axes and any layout before and after."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, Split, World
from distdl_ops.testing import on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts


@settings(max_examples=30)
@given(world_sizes(), st.data())
def test_equals_the_sequential_layer(size: int, data: st.DataObject) -> None:
    """In value and gradient, from any intervals, to the default layout or any other."""
    ndim = data.draw(st.integers(1, 4))
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=ndim, max_size=ndim)))
    start = data.draw(st.integers(1, ndim))
    end = data.draw(st.integers(start, ndim)) - data.draw(st.sampled_from([0, ndim + 1]))
    first, last = start - 1, (end + ndim if end < 0 else end - 1)
    flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    rows = data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    axes = {"rows": rows, "cols": size // rows}
    before = data.draw(layouts(axes, shape, range(ndim)))
    after = data.draw(st.none() | layouts(axes, flat, range(len(flat))))

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, shape, **before)
        codomain = None if after is None else DistributedSpace(grid, flat, **after)
        layer = nn.Flatten(start, end, domain=domain, codomain=codomain)
        assert codomain is None or layer.codomain == codomain
        assert_equal_sequential(layer, torch.nn.Flatten(start, end), domain, layer.codomain)

    on_ranks(size, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_whole_channels_stay(ranks: int) -> None:
    """Where the channels are split, nothing moves; their pixels stay with them."""

    def main(world: World) -> None:
        images = DistributedSpace(Grid(world, p=2), (3, 2, 2), p=Split(0))
        layer = nn.Flatten(domain=images)
        assert nn.movements(layer) == {}
        assert layer.codomain.roles == {"p": Split(0, [(0, 8), (8, 12)])}

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_rows_of_one_channel_stay(ranks: int) -> None:
    """Where there is one channel, an image in rows is a vector in intervals already."""

    def main(world: World) -> None:
        image = DistributedSpace(Grid(world, p=2), (1, 3, 4), p=Split(1))
        layer = nn.Flatten(domain=image)
        assert nn.movements(layer) == {}
        assert layer.codomain.roles == {"p": Split(0, [(0, 8), (8, 12)])}

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_what_does_not_fit(ranks: int) -> None:
    """The batch is not flattened; a codomain has the shape of the result, on the same grid."""

    def main(world: World) -> None:
        grid = Grid(world, p=2)
        images = DistributedSpace(grid, (3, 2), p=Split(1))
        with pytest.raises(SpaceError, match="the batch's is 0; found 0 to -1"):
            nn.Flatten(0, domain=images)
        with pytest.raises(SpaceError, match="found 2 to 1"):
            nn.Flatten(2, 1, domain=images)
        with pytest.raises(SpaceError, match=r"expected a codomain of shape \(6,\)"):
            nn.Flatten(domain=images, codomain=images)
        with pytest.raises(SpaceError, match="same grid"):
            nn.Flatten(domain=images, codomain=DistributedSpace(Grid(world, q=2), (6,), q=Split(0)))
        with pytest.raises(SpaceError, match="each entry once"):
            nn.Flatten(domain=images, codomain=DistributedSpace(grid, (6,), p=Split(0, [(0, 4), (3, 6)])))
        copies = nn.Flatten(domain=images, codomain=DistributedSpace(grid, (6,), p=Copies()))
        assert tuple(copies(torch.ones(5, *images.shape)).shape) == (5, 6)

    on_ranks(ranks, main)
