"""Distributed rearrangements of channels and pixels equal torch's, in value and in all gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Split, World
from distdl_ops.testing import grids, on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts


@pytest.mark.parametrize("name", ["PixelShuffle", "PixelUnshuffle"])
@given(st.data(), world_sizes(), st.integers(1, 3))
def test_pixel_shuffle(name: str, data: st.DataObject, size: int, factor: int) -> None:
    """Any factor; channels and space in any intervals, also through a set."""
    counts = data.draw(st.tuples(*3 * [st.integers(1, 4)]))
    sets = (factor**2, 1, 1) if name == "PixelShuffle" else (1, factor, factor)
    shape = tuple(n * each for n, each in zip(counts, sets, strict=True))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(3)))

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, name)(factor, domain=domain)
        # Nothing is computed: the numbers are the same.
        exact = {"rtol": 0, "atol": 0}
        assert_equal_sequential(layer, getattr(torch.nn, name)(factor), domain, layer.codomain, close=exact)

    on_ranks(size, main)


@pytest.mark.parametrize(("name", "factor"), [("PixelShuffle", 2), ("PixelUnshuffle", 3), ("PixelUnshuffle", 0)])
def test_images_that_do_not_fit(ranks: int, name: str, factor: int) -> None:
    """Sets that do not come out even are refused, on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (2, 8, 8), p=Split(1))
        with pytest.raises(SpaceError, match=f"{name} on .*expected"):
            getattr(nn, name)(factor, domain=domain)

    on_ranks(ranks, main)
