"""Distributed convolutions equal torch's, in value and in all gradients."""

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

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[int, tuple[Any, ...], dict[str, Any]]:
    """Draw how many spatial axes, images, and arguments that torch takes for them."""
    spatial = draw(st.integers(1, 3))
    shape = (2, *(draw(st.integers(5, 8)) for _ in range(spatial)))
    sizes = st.tuples(*spatial * [st.integers(1, 3)]) | st.integers(1, 3)
    stride = draw(sizes)
    paddings: Any = st.tuples(*spatial * [st.integers(0, 3)]) | st.sampled_from(["valid", 1])
    if stride == 1:
        paddings |= st.just("same")
    arguments = {
        "kernel_size": draw(sizes),
        "stride": stride,
        "padding": draw(paddings),
        "dilation": draw(st.integers(1, 2)),
        "groups": draw(st.sampled_from([1, 2])),
        "bias": draw(st.booleans()),
        "padding_mode": draw(st.sampled_from(PADDING_MODES)),
    }
    return spatial, shape, arguments


@given(convolutions(), world_sizes(), st.data())
def test_convolution_split_in_space(drawn: Any, size: int, data: st.DataObject) -> None:
    """One to three axes; any kernel, stride, dilation, padding, padding mode and groups; any intervals."""
    spatial, shape, arguments = drawn
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, list(range(1, spatial + 1))))
    overlap = data.draw(st.booleans())
    sequential = getattr(torch.nn, f"Conv{spatial}d")(2, 4, **arguments).double()

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, f"Conv{spatial}d")(2, 4, **arguments, domain=domain, overlap=overlap)
        assert_equal_sequential(layer, sequential, domain, layer.codomain)

    on_ranks(size, main)


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_what_is_computed_while_halos_travel(ranks: int, mode: Any) -> None:
    """Forward, the interior is convolved before halos arrive; backward, after those of halos have left."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (1, 8 * ranks, 5), p=Split(1))
        layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode, domain=domain, overlap=True)
        if layer.overlap is None:
            assert ranks == 1
            return
        way: list[str] = []
        product = layer.product

        def noted(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            y = product(x, weight)
            rows = y.shape[2]
            way.append(f"{rows} rows")
            y.register_hook(lambda _: way.append(f"{rows} rows back"))
            return y

        layer.product = noted  # type: ignore[method-assign]
        for half in ("start", "finish"):
            operator = getattr(layer.overlap, half)
            forward = operator.forward

            def called(x: Any, forward: Any = forward, half: str = half) -> Any:
                way.append(half)
                y = forward(x)
                y.grad_fn.register_prehook(lambda _: way.append(f"{half} back"))
                return y

            operator.forward = called
        x = torch.ones((2, *domain.shape), dtype=torch.float64, requires_grad=True)
        layer(x).sum().backward()
        assert sum(name.endswith("back") for name in way) == len(way) // 2
        assert way[:3] == ["start", "6 rows", "finish"], way
        assert way[-3:] == ["finish back", "6 rows back", "start back"], way

    on_ranks(ranks, main)


@given(world_sizes(), st.sampled_from(PADDING_MODES), st.booleans(), st.data())
def test_convolution_split_in_channels(size: int, mode: Any, bias: bool, data: st.DataObject) -> None:
    """Output channels, input channels and space lie along any axes of a grid; the result is brought to any layout."""
    axes, left = {}, size
    for name in ("rows", "columns", "space"):
        axes[name] = data.draw(st.integers(1, left))
        left //= axes[name]
    channels = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    shape = (channels[0], 6, 5)
    arguments = {"kernel_size": (3, 2), "padding": (1, 2), "stride": (1, 2), "bias": bias, "padding_mode": mode}
    out_axis, in_axis = data.draw(st.sampled_from([("rows", "columns"), (None, "columns"), ("rows", None)]))
    if in_axis is None:
        arguments["groups"] = groups = data.draw(st.integers(1, 3))
        channels = (groups * data.draw(st.integers(1, 2)), groups * channels[1])
        shape = (channels[0], 6, 5)
    named = [axis for axis in (out_axis, in_axis) if axis]
    source = data.draw(channel_layouts(axes, shape, named))
    whole = torch.nn.Conv2d(*channels, **arguments).double()
    result = whole(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:]
    target = data.draw(st.none() | channel_layouts(axes, tuple(result), named))

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, shape, **source)
        codomain = target and DistributedSpace(grid, tuple(result), **target)
        layer = nn.Conv2d(*channels, **arguments, domain=domain, codomain=codomain, out_axis=out_axis, in_axis=in_axis)
        assert codomain is None or layer.codomain == codomain
        assert_equal_sequential(layer, whole, domain, layer.codomain)

    on_ranks(size, main)


@st.composite
def channel_layouts(draw: st.DrawFn, axes: dict[str, int], shape: tuple[int, ...], named: list[str]) -> dict[str, Role]:
    """Draw layouts whose channels are split along one of some grid axes, or not."""
    along = draw(st.sampled_from([None, *named]))
    others = {name: length for name, length in axes.items() if name != along}
    roles = draw(layouts(others, shape, list(range(1, len(shape)))))
    if along is not None:
        roles[along] = draw(splits(0, shape[0], axes[along], once=True))
    return roles


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_parameters_begin_as_the_sequential_ones(ranks: int, spatial: int) -> None:
    """From the same seed, layer after layer begins as the sequential one, however its weights are cut."""

    def main(world: World) -> list[dict[str, torch.Tensor]]:
        domain = DistributedSpace(Grid(world, p=ranks), (3, *(5,) * spatial), p=Split(1))
        layer = getattr(nn, f"Conv{spatial}d")
        blocks = domain.with_roles(p=Split(0))
        layers = [layer(3, 4, 2, domain=domain), layer(3, 2, 1, bias=False, domain=blocks, in_axis="p")]
        return [nn.gather_state(layer) for layer in layers]

    torch.manual_seed(7)
    found = on_ranks(ranks, main)
    torch.manual_seed(7)
    sequential = getattr(torch.nn, f"Conv{spatial}d")
    for k, layer in enumerate((sequential(3, 4, 2), sequential(3, 2, 1, bias=False))):
        for states in found:
            assert set(states[k]) == set(layer.state_dict())
            for name, value in layer.state_dict().items():
                assert torch.equal(states[k][name], value.double())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"padding": 8, "padding_mode": "reflect"}, "reflect padding of 8 is too much"),
        ({"padding": 9, "padding_mode": "circular"}, "circular padding of 9 is too much"),
        ({"padding": "same", "stride": 2}, "needs stride 1"),
        ({"padding": "other"}, "expected padding"),
        ({"out_axis": "q"}, "no axis 'q'"),
        ({"out_axis": "p", "in_axis": "p"}, "two axes"),
        ({"groups": 2, "in_axis": "p"}, "groups"),
    ],
)
def test_arguments_that_do_not_fit(ranks: int, arguments: dict[str, Any], complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank, and the error names it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (2, 8, 8), p=Split(1))
        with pytest.raises(SpaceError, match=f"Conv2d on .*{complaint}"):
            nn.Conv2d(2, 4, 3, **arguments, domain=domain)

    on_ranks(ranks, main)
