"""Distributed adaptive poolings equal torch's, in value and in all gradients."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Split, World
from distdl_ops.testing import grids, on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts, normal


@pytest.mark.parametrize("kind", ["AdaptiveAvgPool", "AdaptiveMaxPool"])
@given(st.data(), world_sizes(), st.booleans())
def test_adaptive_pooling(kind: str, data: st.DataObject, size: int, ties: bool) -> None:
    """Any number of results, more than entries too; of equal entries, the same one is the maximum."""
    spatial = data.draw(st.integers(1, 3))
    shape = (2, *(data.draw(st.integers(1, 7)) for _ in range(spatial)))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    sizes = (
        st.integers(1, 9) | st.none() if spatial > 1 else st.integers(1, 9)
    )  # torch keeps no extent in one dimension
    wanted = data.draw(st.tuples(*spatial * [sizes]) | st.integers(1, 3))
    x = normal(0, (2, *shape))
    x = x.round() if ties else x

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, f"{kind}{spatial}d")(wanted, domain=domain)
        sequential = getattr(torch.nn, f"{kind}{spatial}d")(wanted)
        assert_equal_sequential(layer, sequential, domain, layer.codomain, x=x)

    on_ranks(size, main)


@pytest.mark.parametrize(
    ("wanted", "complaint"), [(0, "output_size"), ((1, 2, 3), "output_size"), ("3", "output_size")]
)
def test_arguments_that_do_not_fit(ranks: int, wanted: Any, complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank, and the error names it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (2, 8, 8), p=Split(1))
        with pytest.raises(SpaceError, match=f"AdaptiveMaxPool2d on .*{complaint}"):
            nn.AdaptiveMaxPool2d(wanted, domain=domain)

    on_ranks(ranks, main)
