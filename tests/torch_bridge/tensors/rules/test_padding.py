"""Padding, rolling and flipping are those of one process, on any layout."""

from typing import Any

import hypothesis.strategies as st
import torch
import torch.nn.functional as F
from harness import agrees, layouts, normal
from hypothesis import given

from distdl_ops import Grid, Split, simulate
from torch_bridge.tensors import distribute_tensor


@given(st.data())
def test_padding_is_that_of_one_process(data: st.DataObject) -> None:
    """In all modes, along all axes, with constants; negative widths crop."""
    mode = data.draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    shape = (2, 3, 5, 6)
    axes = 2 if mode != "constant" else data.draw(st.integers(1, 4))
    least = -1 if mode == "constant" else 0
    pad = [data.draw(st.integers(least, 3)) for _ in range(2 * axes)]
    value = 1.5 if mode == "constant" and data.draw(st.booleans()) else None
    agrees(data.draw(layouts(shape)), lambda x: F.pad(x, pad, mode, value), normal(*shape))


@given(st.data())
def test_rolling_is_that_of_one_process(data: st.DataObject) -> None:
    """Along any axes, by any number of steps."""
    shape = (4, 5, 6)
    dims = data.draw(st.sampled_from([(), (0,), (1, 2), (2, 0), (1, 1)]))
    shifts = [data.draw(st.integers(-7, 7)) for _ in dims or (0,)]
    agrees(data.draw(layouts(shape)), lambda x: torch.roll(x, shifts, dims or None), normal(*shape))


@given(st.data())
def test_flipping_is_that_of_one_process(data: st.DataObject) -> None:
    """Along any axes."""
    shape = (4, 5, 3)
    dims = data.draw(st.sampled_from([(), (0,), (1, 2), (-1, 0)]))
    agrees(data.draw(layouts(shape)), lambda x: torch.flip(x, dims), normal(*shape))
    agrees(data.draw(layouts(shape)), lambda x: torch.fliplr(x) + torch.flipud(x), normal(*shape))


def test_a_padding_and_its_convolution_keep_the_layout() -> None:
    """A reflected padding and a convolution that keep an extent together lie as the images do."""

    def main(world: Any) -> bool:
        role = Split(2, [(0, 3), (3, 9), (9, 11)])
        x = distribute_tensor(torch.ones(1, 1, 11, 4), Grid(world, rows=3), rows=role)
        y = F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), torch.ones(1, 1, 3, 3))
        return y.space.roles == {"rows": role}

    assert simulate(3, main) == [True, True, True]
