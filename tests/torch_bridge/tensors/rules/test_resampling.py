"""Interpolation, sampling and shuffles are those of one process, on any layout."""

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from harness import Layouts, agrees, layouts, normal
from hypothesis import given

from distdl_ops import Split

MODES = {
    1: ["nearest", "nearest-exact", "area", "linear"],
    2: ["nearest", "nearest-exact", "area", "bilinear", "bicubic"],
    3: ["nearest", "nearest-exact", "area", "trilinear"],
}
EXTENTS = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}


@given(st.data())
def test_an_interpolation_is_that_of_one_process(data: st.DataObject) -> None:
    """In all modes, to larger and smaller sizes, by sizes and by factors."""
    axes = data.draw(st.integers(1, 3))
    mode = data.draw(st.sampled_from(MODES[axes]))
    arguments: dict[str, Any] = {"mode": mode}
    if data.draw(st.booleans()):
        arguments["size"] = tuple(data.draw(st.integers(1, 2 * n)) for n in EXTENTS[axes])
    else:
        arguments["scale_factor"] = data.draw(st.sampled_from([2, 0.5, 1.3, 2.5]))
        arguments["recompute_scale_factor"] = data.draw(st.sampled_from([None, True]))
    if mode.endswith(("linear", "cubic")):
        arguments["align_corners"] = data.draw(st.booleans())
        if mode.startswith("bi"):
            arguments["antialias"] = data.draw(st.booleans())
    images = (*data.draw(st.sampled_from([(1,), (3,)])), 2, *EXTENTS[axes])
    agrees(data.draw(layouts(images)), lambda x: F.interpolate(x, **arguments), normal(*images))


@given(st.data())
def test_a_long_axis_is_interpolated_as_a_short_one(data: st.DataObject) -> None:
    """Rows are read off a few combs, however long the axis is."""
    shape = (1, 1, 1000)
    size = data.draw(st.sampled_from([1500, 333, 2000, 7]))
    agrees(data.draw(layouts(shape)), lambda x: F.interpolate(x, size, mode="linear"), normal(*shape))


@given(st.data())
def test_sampling_on_a_grid_is_that_of_one_process(data: st.DataObject) -> None:
    """Samples may be split in any way; images are brought together in space."""
    images, samples = (2, 3, 5, 4), (2, 4, 3, 2)
    arguments = {
        "mode": data.draw(st.sampled_from(["bilinear", "nearest"])),
        "padding_mode": "border",
        "align_corners": False,
    }
    layout = data.draw(layouts(images, samples))
    agrees(layout, lambda x, grid: F.grid_sample(x, grid, **arguments), normal(*images), normal(*samples))
    agrees(
        data.draw(layouts((3, 2, 3))),
        lambda theta: F.affine_grid(theta, [3, 1, 4, 5], align_corners=True),
        normal(3, 2, 3),
    )


@given(st.data())
def test_shuffles_are_those_of_one_process(data: st.DataObject) -> None:
    """Pixels into channels and back, and channels of groups."""
    images = (*data.draw(st.sampled_from([(), (2,)])), 8, 4, 6)
    agrees(data.draw(layouts(images)), lambda x: F.pixel_shuffle(x, 2), normal(*images))
    agrees(data.draw(layouts(images)), lambda x: F.pixel_unshuffle(x, 2), normal(*images))
    batch = (2, *images[-3:])
    agrees(data.draw(layouts(batch)), lambda x: F.channel_shuffle(x, 2), normal(*batch))
    assert torch.is_grad_enabled()


@pytest.mark.serial
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialiasing_is_that_of_one_process(mode: str) -> None:
    """Also where height and width are split."""
    layout = Layouts(4, {"rows": 2, "cols": 2}, ({"rows": Split(2), "cols": Split(3)},))
    agrees(layout, lambda x: F.interpolate(x, scale_factor=2, mode=mode, antialias=True), normal(1, 2, 7, 6))
