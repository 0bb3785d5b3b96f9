"""Convolutions, poolings and unfoldings are those of one process, on any layout."""

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from harness import agrees, layouts, normal
from hypothesis import given

from distdl_ops import Grid, Replicated, Split, simulate
from torch_bridge.tensors import distribute_tensor

EXTENTS = {1: (9,), 2: (7, 6), 3: (5, 5, 6)}


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[int, ...], tuple[int, ...], int]:
    """Return the arguments of a convolution, the shapes of images and weight, and the number of output channels."""
    axes = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    padding: Any = draw(st.one_of(st.sampled_from(["same", "valid"]), st.tuples(*[st.integers(0, 2)] * axes)))
    stride = (1,) * axes if padding == "same" else stride
    arguments = {"stride": stride, "padding": padding, "dilation": draw(st.integers(1, 2)), "groups": groups}
    batch = draw(st.sampled_from([(), (0,), (1,), (3,)]))
    return arguments, (*batch, 4, *EXTENTS[axes]), (8, 4 // groups, *kernel), 8


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@given(st.data())
def test_a_convolution_is_that_of_one_process(data: st.DataObject) -> None:
    """A convolution is that of one process, whatever its arguments, and however images, weight and bias lie."""
    arguments, images, weights, channels = data.draw(convolutions())
    convolve = getattr(F, f"conv{len(weights) - 2}d")
    layout = data.draw(layouts(images, weights, (channels,)))
    agrees(layout, lambda x, w, b: convolve(x, w, b, **arguments), normal(*images), normal(*weights), normal(channels))


@given(st.data())
def test_a_transposed_convolution_is_that_of_one_process(data: st.DataObject) -> None:
    """A transposed convolution is that of one process, with rows of results that no entry is spread into as well."""
    axes = data.draw(st.integers(1, 3))
    groups, stride = data.draw(st.sampled_from([1, 2])), data.draw(st.integers(1, 3))
    arguments = {
        "stride": stride,
        "padding": data.draw(st.integers(0, 1)),
        "groups": groups,
        "dilation": data.draw(st.integers(1, 2)),
        "output_padding": data.draw(st.integers(0, stride - 1)),
    }
    images = (*data.draw(st.sampled_from([(), (0,), (1,), (2,)])), 4, *EXTENTS[axes])
    weights = (4, 6 // groups, *[data.draw(st.integers(1, 3)) for _ in range(axes)])
    spread = getattr(F, f"conv_transpose{axes}d")
    layout = data.draw(layouts(images, weights, (6,)))
    agrees(layout, lambda x, w, b: spread(x, w, b, **arguments), normal(*images), normal(*weights), normal(6))


@st.composite
def poolings(draw: st.DrawFn) -> tuple[int, tuple[int, ...], dict[str, Any]]:
    """Return how many axes are pooled, the images' shape, and the arguments that all poolings take."""
    axes = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    arguments = {
        "kernel_size": kernel,
        "stride": draw(st.sampled_from([None, 1, 2, 3])),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    return axes, (*draw(st.sampled_from([(), (1,), (3,)])), 3, *EXTENTS[axes]), arguments


@given(st.data())
def test_a_max_pooling_is_that_of_one_process(data: st.DataObject) -> None:
    """A max pooling is that of one process, and so are the indices that it returns: places in the whole image."""
    axes, images, arguments = data.draw(poolings())
    arguments |= {"dilation": data.draw(st.integers(1, 2)), "return_indices": data.draw(st.booleans())}
    pool = getattr(F, f"max_pool{axes}d")
    agrees(data.draw(layouts(images)), lambda x: pool(x, **arguments), normal(*images))


@given(st.data())
def test_an_average_pooling_is_that_of_one_process(data: st.DataObject) -> None:
    """An average pooling divides by what torch divides by, at the ends as well."""
    axes, images, arguments = data.draw(poolings())
    arguments["count_include_pad"] = data.draw(st.booleans())
    if axes > 1:
        arguments["divisor_override"] = data.draw(st.sampled_from([None, 5]))
    pool = getattr(F, f"avg_pool{axes}d")
    agrees(data.draw(layouts(images)), lambda x: pool(x, **arguments), normal(*images))


@given(st.data())
def test_a_power_pooling_is_that_of_one_process(data: st.DataObject) -> None:
    """A power-average pooling is a composition of functions that have rules."""
    axes = data.draw(st.integers(1, 3))
    images = (2, 3, *EXTENTS[axes])
    pool = getattr(F, f"lp_pool{axes}d")
    agrees(data.draw(layouts(images)), lambda x: pool(x.abs() + 1, 3.0, 2), normal(*images), tolerance=1e-11)


@given(st.data())
def test_an_adaptive_pooling_is_that_of_one_process(data: st.DataObject) -> None:
    """Adaptive poolings to any size are those of one process; to fewer results than ranks, too."""
    axes = data.draw(st.integers(1, 3))
    images = (*data.draw(st.sampled_from([(), (1,), (3,)])), 3, *EXTENTS[axes])
    sizes = tuple(data.draw(st.integers(1, n + 2)) for n in EXTENTS[axes])
    kind = data.draw(st.sampled_from(["avg", "max"]))
    pool = getattr(F, f"adaptive_{kind}_pool{axes}d")
    agrees(data.draw(layouts(images)), lambda x: pool(x, sizes), normal(*images))


@given(st.data())
def test_unfolding_and_folding_are_those_of_one_process(data: st.DataObject) -> None:
    """Blocks of images, and the sum of blocks, are those of one process."""
    images = (data.draw(st.sampled_from([0, 2])), data.draw(st.integers(1, 3)), 6, 5)
    arguments: dict[str, Any] = {"kernel_size": (3, 2), "padding": 1, "stride": data.draw(st.integers(1, 2))}
    agrees(data.draw(layouts(images)), lambda x: F.unfold(x, **arguments), normal(*images))
    blocks = tuple(F.unfold(normal(*images), **arguments).shape)
    agrees(data.draw(layouts(blocks)), lambda x: F.fold(x, (6, 5), **arguments), normal(*blocks))


@given(st.data())
def test_unpooling_is_that_of_one_process(data: st.DataObject) -> None:
    """Maxima go back to where they were."""
    images = (2, 3, 6, 8)

    def there_and_back(x: torch.Tensor) -> torch.Tensor:
        y, index = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(y * 2, index, 2)

    agrees(data.draw(layouts(images)), there_and_back, normal(*images))


def test_windows_of_minus_infinity_have_the_first_index_in_the_image() -> None:
    """Where all of a window is minus infinity, its index is the first one within the image, as in one process."""
    x = torch.full((1, 1, 6, 6), -torch.inf)

    def main(world: Any) -> bool:
        parts = distribute_tensor(x, Grid(world, rows=2), rows=Split(2))
        index = F.max_pool2d(parts, 3, 2, 1, return_indices=True)[1].full_tensor().to_local()
        return torch.equal(index, F.max_pool2d(x, 3, 2, 1, return_indices=True)[1])

    assert simulate(2, main) == [True, True]


@pytest.mark.parametrize(
    "function", [lambda x: F.conv2d(x, torch.ones(2, 3, 3, 3), padding=1), lambda x: F.max_pool2d(x, 3, 1, 1)]
)
def test_results_that_keep_their_extent_keep_their_intervals(function: Any) -> None:
    """Where an extent is kept, results lie as the images do, so that they can be added to them without movement."""

    def main(world: Any) -> Any:
        role = Split(2, [(0, 2), (2, 8)])
        x = distribute_tensor(torch.ones(1, 3, 8, 8), Grid(world, rows=2, rest=1), rows=role)
        return function(x).space.roles == {"rows": role, "rest": Replicated()}

    assert simulate(2, main) == [True, True]
