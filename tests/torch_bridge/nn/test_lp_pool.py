"""Distributed power-average poolings equal torch's, in value and in all gradients."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, World
from distdl_ops.testing import grids, on_ranks, world_sizes
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts, normal


@given(st.data(), world_sizes(), st.sampled_from([1, 2, 3.5]), st.booleans())
def test_power_average_pooling(data: st.DataObject, size: int, norm_type: float, ceil_mode: bool) -> None:
    """One to three axes; any power, window and ceil_mode; space and channels in any intervals."""
    spatial = data.draw(st.integers(1, 3))
    shape = (2, *(data.draw(st.integers(3, 7)) for _ in range(spatial)))
    kernel = data.draw(st.integers(1, 3) | st.tuples(*spatial * [st.integers(1, 3)])) if spatial > 1 else 3
    stride = data.draw(st.none() | st.integers(1, 3))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    x = normal(0, (2, *shape)).abs() + 0.1  # there are no real roots of negative numbers

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        arguments = (norm_type, kernel, stride, ceil_mode)
        layer = getattr(nn, f"LPPool{spatial}d")(*arguments, domain=domain)
        sequential = getattr(torch.nn, f"LPPool{spatial}d")(*arguments)
        assert_equal_sequential(layer, sequential, domain, layer.codomain, x=x)

    on_ranks(size, main)
