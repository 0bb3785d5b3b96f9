"""Distributed poolings equal torch's, in value and in all gradients."""

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


@st.composite
def poolings(draw: st.DrawFn, kind: str) -> tuple[str, tuple[int, ...], dict[str, Any]]:
    """Draw a layer, images, and arguments that torch takes for them."""
    spatial = draw(st.integers(1, 3))
    shape = (3, *(draw(st.integers(5, 9)) for _ in range(spatial)))
    kernel = draw(st.tuples(*spatial * [st.integers(1, 3)]))
    stride = draw(st.none() | st.tuples(*spatial * [st.integers(1, 4)]))
    padding = draw(st.tuples(*(st.integers(0, k // 2) for k in kernel)))
    arguments = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}
    if kind == "MaxPool":
        arguments["dilation"] = draw(st.tuples(*spatial * [st.integers(1, 2)]))
    else:
        arguments["count_include_pad"] = draw(st.booleans())
        if spatial > 1:
            arguments["divisor_override"] = draw(st.none() | st.integers(1, 5))
    return f"{kind}{spatial}d", shape, arguments


@pytest.mark.parametrize("kind", ["MaxPool", "AvgPool"])
@given(st.data(), world_sizes())
def test_pooling(kind: str, data: st.DataObject, size: int) -> None:
    """One to three axes; any window, padding and ceil_mode; space and channels in any intervals."""
    name, shape, arguments = data.draw(poolings(kind))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    batch = data.draw(st.sampled_from([(2,), (2, 1), (0,)]))

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, name)(**arguments, domain=domain)
        sequential = getattr(torch.nn, name)(**arguments)
        assert_equal_sequential(layer, Batched(sequential, len(batch)), domain, layer.codomain, batch=batch)

    on_ranks(size, main)


class Batched(torch.nn.Module):
    """A layer, applied to images with any number of batch axes."""

    def __init__(self, layer: torch.nn.Module, axes: int) -> None:
        super().__init__()
        self.layer, self.axes = layer, axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the results."""
        y: torch.Tensor = self.layer(x.flatten(0, self.axes - 1))
        return y.unflatten(0, x.shape[: self.axes])


@pytest.mark.parametrize("name", ["MaxPool1d", "AvgPool1d"])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), -float("inf")])
def test_entries_that_are_no_numbers(ranks: int, name: str, value: float) -> None:
    """Infinities and what is not a number go where torch lets them go."""
    x = torch.zeros(1, 1, 8, dtype=torch.float64)
    x[..., 3] = value
    sequential = getattr(torch.nn, name)(3, 2, 1)

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (1, 8), p=Split(1))
        layer = getattr(nn, name)(3, 2, 1, domain=domain)
        found = layer(domain.from_global(x))
        torch.testing.assert_close(found, layer.codomain.from_global(sequential(x)), rtol=0, atol=0, equal_nan=True)

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"kernel_size": 9}, "do not fit"),
        ({"kernel_size": 2, "padding": 2}, "half the kernel"),
        ({"kernel_size": (2, 2, 2)}, "expected kernel_size"),
        ({"kernel_size": 2, "stride": 0}, "expected stride"),
        ({"kernel_size": 2, "return_indices": True}, "indices"),
    ],
)
def test_arguments_that_do_not_fit(ranks: int, arguments: dict[str, Any], complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank, and the error names it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (2, 8, 8), p=Split(1))
        with pytest.raises(SpaceError, match=f"MaxPool2d.*{complaint}"):
            nn.MaxPool2d(**arguments, domain=domain)

    on_ranks(ranks, main)
