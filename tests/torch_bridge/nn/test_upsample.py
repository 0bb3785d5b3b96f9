"""Distributed interpolation equals torch's, in value and in all gradients."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Split, World
from distdl_ops.testing import grids, on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts

MODES = {
    **dict.fromkeys(["nearest", "nearest-exact", "area"], (1, 2, 3)),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
}


class Matrix(torch.nn.Module):
    """The matrix of a linear map of images without parameters, column by column.

    Torch's own gradient of an interpolation is wrong in some modes, where a factor other than 1 keeps an extent.
    """

    def __init__(self, sequential: torch.nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        unit = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
        self.columns = sequential(unit)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product."""
        return torch.tensordot(x.flatten(start_dim=1), self.columns, 1)


@pytest.mark.parametrize("mode", list(MODES))
@given(st.data(), world_sizes(), st.booleans())
def test_upsample(mode: str, data: st.DataObject, size: int, by_scale: bool) -> None:
    """Larger and smaller, by size or by any factors; channels and space in any intervals."""
    spatial = data.draw(st.sampled_from(MODES[mode]))
    shape = (2, *(data.draw(st.integers(1, 6)) for _ in range(spatial)))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    arguments: dict[str, Any] = {"mode": mode}
    if by_scale:
        factors = st.sampled_from([1.0, 1.3, 2.0, 2.5, 3.0])
        arguments["scale_factor"] = data.draw(st.tuples(*spatial * [factors]) | factors)
        arguments["recompute_scale_factor"] = data.draw(st.sampled_from([None, True]))
    else:
        arguments["size"] = data.draw(st.tuples(*spatial * [st.integers(1, 9)]) | st.integers(1, 5))
    if mode not in ("nearest", "nearest-exact", "area"):
        arguments["align_corners"] = data.draw(st.sampled_from([None, True, False]))

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = nn.Upsample(**arguments, domain=domain)
        assert_equal_sequential(layer, Matrix(torch.nn.Upsample(**arguments), shape), domain, layer.codomain)

    on_ranks(size, main)


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"size": 3, "mode": "trilinear"}, SpaceError, "Upsample on .*2 spatial axes, found 'trilinear'"),
        ({"size": 3, "mode": "cubic"}, SpaceError, "Upsample on .*found 'cubic'"),
        ({"size": 3, "align_corners": True}, ValueError, "align_corners"),
        ({}, ValueError, "size or scale_factor"),
    ],
)
def test_arguments_that_do_not_fit(ranks: int, arguments: dict[str, Any], error: Any, complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (2, 8, 8), p=Split(1))
        with pytest.raises(error, match=complaint):
            nn.Upsample(**arguments, domain=domain)

    on_ranks(ranks, main)
