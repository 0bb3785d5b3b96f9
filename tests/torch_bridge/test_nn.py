"""Distributed layers equal the sequential ones, in value and in all gradients, on any grid and for any shapes."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import At, Copies, DistributedSpace, Grid, Replicated, Role, Split, World
from distdl_ops.testing import grids, on_ranks, splits, world_sizes
from linop import SpaceError, assert_adjoint
from torch_bridge import tie
from torch_bridge.nn import (
    Conv2d,
    CrossEntropyLoss,
    Linear,
    MaxPool2d,
    gather_state,
    load_state,
    movements,
    parameter_spaces,
)

# Sums of at most some hundred products of numbers of order one, in another order: a few hundred roundings.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def normal(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def compare(
    world: World,
    sequential: torch.nn.Module,
    build: Callable[[], tuple[DistributedSpace, torch.nn.Module, DistributedSpace]],
    batch: int,
) -> None:
    """Hold a distributed layer against the sequential one: value, gradient of the input and of the parameters."""
    domain, layer, codomain = build()
    load_state(layer, sequential.state_dict()) if parameter_spaces(layer) else None
    x = normal(0, (batch, *domain.global_shape)).requires_grad_()
    y = sequential(x)
    g = normal(1, y.shape)
    y.backward(g)
    # Images that come from a convolution are neither leaves nor contiguous; so is this one.
    part = domain.from_global(x.detach()).requires_grad_()
    found = layer(part.mT.contiguous().mT if part.ndim > 2 else part)
    assert tuple(found.shape) == (batch, *codomain.shape)
    found.backward(codomain.from_global(g))
    torch.testing.assert_close(found.detach(), codomain.from_global(y.detach()), **CLOSE)
    torch.testing.assert_close(part.grad, domain.from_global(x.grad), **CLOSE)
    parameters = dict(sequential.named_parameters())
    for name, own in layer.named_parameters():
        space = parameter_spaces(layer)[name]
        torch.testing.assert_close(own.grad, space.from_global(parameters[name].grad), **CLOSE)
        assert space.consistent(own.grad)
    for A in movements(layer).values():
        assert_adjoint(A)


@st.composite
def image_layouts(draw: st.DrawFn, channels: int, smallest: int) -> tuple[int, dict[str, int], Any, dict[str, Role]]:
    """Draw images and any way to split them in height and width, uneven and empty parts included."""
    size = draw(world_sizes())
    axes = draw(grids(size, 2))
    shape = (channels, draw(st.integers(smallest, smallest + 7)), draw(st.integers(smallest, smallest + 7)))
    free = [1, 2]
    roles: dict[str, Role] = {}
    for name, length in axes.items():
        kind = draw(st.sampled_from(["split", "split", "split", "at", "replicated"]))
        if kind == "split":
            axis = free.pop(draw(st.integers(0, len(free) - 1)))
            roles[name] = draw(splits(axis, shape[axis], length, once=True))
        else:
            roles[name] = At(draw(st.integers(0, length - 1))) if kind == "at" else Replicated()
    return size, axes, shape, roles


windows = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(image_layouts(2, 7), windows, windows, windows, st.tuples(*2 * [st.integers(0, 2)]), st.booleans(), st.data())
def test_convolution(drawn: Any, kernel: Any, stride: Any, dilation: Any, padding: Any, bias: bool, data: Any) -> None:
    """Any kernel, stride, dilation, padding and groups; also where windows are wider than a rank's part."""
    size, axes, shape, roles = drawn
    groups = data.draw(st.sampled_from([1, 2]))
    arguments = (2, 4, kernel, stride, padding, dilation, groups, bias)

    def main(world: World, sequential: torch.nn.Module) -> None:
        def build() -> Any:
            domain = DistributedSpace(Grid(world, **axes), shape, **roles)
            layer = Conv2d(*arguments, domain=domain)
            return domain, layer, layer.codomain

        compare(world, sequential, build, batch=2)

    on_ranks_alike(size, main, torch.nn.Conv2d(*arguments).double())


@given(image_layouts(2, 7), windows, st.one_of(st.none(), windows), windows, st.sampled_from([0, 1, 3]))
def test_max_pooling(drawn: Any, kernel: Any, stride: Any, dilation: Any, batch: int) -> None:
    """Any window, stride and dilation: overlapping windows, gaps, outputs that do not divide evenly."""
    size, axes, shape, roles = drawn

    def main(world: World, sequential: torch.nn.Module) -> None:
        def build() -> Any:
            domain = DistributedSpace(Grid(world, **axes), shape, **roles)
            layer = MaxPool2d(kernel, stride, dilation=dilation, domain=domain)
            return domain, layer, layer.codomain

        compare(world, sequential, build, batch)

    on_ranks_alike(size, main, torch.nn.MaxPool2d(kernel, stride, dilation=dilation))


@st.composite
def feature_layouts(draw: st.DrawFn) -> tuple[int, dict[str, int], int, int, dict[str, Role], dict[str, Role]]:
    """Draw a grid, and any layouts of a layer's input and output on it."""
    size = draw(world_sizes())
    rows = draw(st.integers(1, size))
    axes = {"rows": rows, "cols": draw(st.integers(1, size // rows))}
    features = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    layouts = []
    for count in features:
        roles: dict[str, Role] = {}
        split = draw(st.sampled_from(["rows", "cols", None]))
        for name, length in axes.items():
            if name == split:
                roles[name] = draw(splits(0, count, length, once=True))
            else:
                roles[name] = draw(st.sampled_from([At(0), At(length - 1), Replicated()]))
        layouts.append(roles)
    return size, axes, *features, *layouts


@given(feature_layouts(), st.booleans(), st.permutations(["rows", "cols"]))
def test_linear(drawn: Any, bias: bool, along: list[str]) -> None:
    """Weights on any grid, input and output in any layout."""
    size, axes, inputs, outputs, source, target = drawn

    def main(world: World, sequential: torch.nn.Module) -> None:
        def build() -> Any:
            grid = Grid(world, **axes)
            domain = DistributedSpace(grid, (inputs,), **source)
            codomain = DistributedSpace(grid, (outputs,), **target)
            layer = Linear(inputs, outputs, bias, domain=domain, codomain=codomain, out_axis=along[0], in_axis=along[1])
            return domain, layer, codomain

        compare(world, sequential, build, batch=3)

    on_ranks_alike(size, main, torch.nn.Linear(inputs, outputs, bias).double())


@given(feature_layouts())
def test_linear_to_independent_copies(drawn: Any) -> None:
    """Where the output is copied, its cotangents add up, and so does the bias's gradient."""
    size, axes, inputs, outputs, source, _ = drawn

    def main(world: World, sequential: torch.nn.Module) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, (inputs,), **source)
        codomain = DistributedSpace(grid, (outputs,), rows=Copies(), cols=Replicated())
        layer = Linear(inputs, outputs, domain=domain, codomain=codomain, out_axis="rows", in_axis="cols")
        load_state(layer, sequential.state_dict())
        x, g = normal(0, (3, inputs)), normal(1, (3, outputs))
        layer(domain.from_global(x)).backward(codomain.from_global(g))
        sequential(x).backward(axes["rows"] * g)
        whole = dict(sequential.named_parameters())
        for name, parameter in layer.named_parameters():
            expected = parameter_spaces(layer)[name].from_global(whole[name].grad)
            torch.testing.assert_close(parameter.grad, expected, **CLOSE)

    on_ranks_alike(size, main, torch.nn.Linear(inputs, outputs).double())


@given(feature_layouts(), st.integers(1, 5))
def test_cross_entropy(drawn: Any, batch: int) -> None:
    """The same loss on every rank, and each rank's part of its gradient."""
    size, axes, classes, _, roles, _ = drawn
    scores = normal(0, (batch, classes)).requires_grad_()
    target = torch.arange(batch) % classes
    value = torch.nn.functional.cross_entropy(scores, target)
    value.backward()

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), (classes,), **roles)
        part = domain.from_global(scores.detach()).requires_grad_()
        found = CrossEntropyLoss(domain=domain)(part, target)
        found.backward()
        torch.testing.assert_close(found.detach(), value.detach(), **CLOSE)
        torch.testing.assert_close(part.grad, domain.from_global(scores.grad), **CLOSE)

    on_ranks(size, main)


def on_ranks_alike(size: int, main: Callable[[World, Any], None], sequential: torch.nn.Module) -> None:
    """Run on all ranks, each with its own copy of rank 0's sequential network: under MPI each has drawn its own."""

    def run(world: World) -> None:
        (first, *_) = world.allgather(sequential.state_dict(), "state")
        own = copy.deepcopy(sequential)
        own.load_state_dict(first)
        main(world, own)

    on_ranks(size, run)


def test_parameters_begin_as_the_sequential_ones(ranks: int) -> None:
    """From the same seed, a distributed layer begins with the sequential layer's values, on any grid."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, rows=ranks), (3, 9, 9), rows=Split(1))
        torch.manual_seed(7)
        layer = Conv2d(3, 4, 3, domain=domain)
        state = gather_state(layer)
        torch.manual_seed(7)
        sequential = torch.nn.Conv2d(3, 4, 3)
        for name, value in sequential.state_dict().items():
            assert torch.equal(state[name], value.double())

    on_ranks(ranks, main)


def test_relu_in_place_before_pooling(ranks: int) -> None:
    """Convolution, ReLU in place and pooling, twice, with a smaller last batch: as the sequential network."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, padding=1),
        torch.nn.ReLU(inplace=True),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(3, 2, 3),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(3, 1),
    ).double()

    def main(world: World, sequential: torch.nn.Module) -> None:
        images = DistributedSpace(Grid(world, rows=1, cols=ranks), (1, 12, 13), rows=Split(1), cols=Split(2))
        conv1 = Conv2d(1, 3, 3, padding=1, domain=images)
        pool1 = MaxPool2d(2, domain=conv1.codomain)
        conv2 = Conv2d(3, 2, 3, domain=pool1.codomain)
        pool2 = MaxPool2d(3, 1, domain=conv2.codomain)
        model = torch.nn.Sequential(conv1, torch.nn.ReLU(inplace=True), pool1, conv2, torch.nn.ReLU(), pool2)
        load_state(model, sequential.state_dict())
        for batch in (4, 4, 1):
            model.zero_grad()
            sequential.zero_grad()
            x = normal(batch, (batch, 1, 12, 13))
            y, found = sequential(x), model(images.from_global(x))
            torch.testing.assert_close(pool2.codomain.to_global(found.detach()), y.detach(), **CLOSE)
            (y**2).sum().backward()
            (found**2).sum().backward()
            whole = dict(sequential.named_parameters())
            for name, own in model.named_parameters():
                expected = parameter_spaces(model)[name].from_global(whole[name].grad)
                torch.testing.assert_close(own.grad, expected, **CLOSE)

    on_ranks_alike(ranks, main, network)


def test_float32(ranks: int) -> None:
    """Layers of a float32 space have float32 parameters, values and gradients."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, rows=ranks), (1, 8, 8), "float32", rows=Split(1))
        layer = Conv2d(1, 2, 3, domain=domain)
        y = layer(torch.zeros((2, *domain.shape)))
        y.sum().backward()
        assert {y.dtype, layer.weight.dtype, layer.weight.grad.dtype} == {torch.float32}

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
@pytest.mark.parametrize(
    ("shape", "role", "complaint"),
    [
        ((4, 4), Split(0), "expected images"),
        ((2, 8, 8), Copies(), "expected each entry once"),
        ((2, 8, 8), Split(1, [(0, 5)] * 4), "expected each entry once|intervals"),
        ((2, 2, 8), Split(1), "do not fit"),
    ],
)
def test_images_that_do_not_fit(ranks: int, shape: Any, role: Role, complaint: str) -> None:
    """The error names the layer and the space, on every rank."""

    def main(world: World) -> None:
        grid = Grid(world, rows=ranks)
        for layer in (lambda space: Conv2d(2, 2, 3, domain=space), lambda space: MaxPool2d(3, domain=space)):
            with pytest.raises(SpaceError, match=complaint):
                layer(DistributedSpace(grid, shape, rows=role))

    on_ranks(ranks, main)


def test_channels_that_do_not_fit(ranks: int) -> None:
    """Channels are split along the grid axis of the weight's rows or columns only, and groups are whole."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, rows=ranks), (2, 8, 8), rows=Split(0))
        with pytest.raises(SpaceError, match="channels are split along the weight's axes only"):
            Conv2d(2, 2, 3, domain=domain)
        with pytest.raises(SpaceError, match="groups to lie along the rows' axis"):
            Conv2d(2, 2, 3, groups=2, domain=domain, in_axis="rows")

    on_ranks(ranks, main)


def test_features_that_do_not_fit(ranks: int) -> None:
    """Another number of features, another grid, or parameters of another model are refused."""

    def main(world: World) -> None:
        grid = Grid(world, rows=ranks, cols=1)
        X = DistributedSpace(grid, (4,), rows=Split(0), cols=At(0))
        line = DistributedSpace(Grid(world, rows=ranks), (4,), rows=Split(0))
        with pytest.raises(SpaceError, match="domain of shape"):
            Linear(5, 4, domain=X, codomain=X, out_axis="rows", in_axis="cols")
        with pytest.raises(SpaceError, match="codomain on the same grid"):
            Linear(4, 4, domain=X, codomain=line, out_axis="rows", in_axis="cols")
        layer = Linear(4, 4, domain=X, codomain=X, out_axis="rows", in_axis="cols")
        with pytest.raises(SpaceError, match="bias"):
            load_state(layer, {"weight": torch.zeros(4, 4)})
        with pytest.raises(SpaceError, match="expected weight to have shape"):
            load_state(layer, {"weight": torch.zeros(3, 4), "bias": torch.zeros(4)})

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"in_channels": 3}, SpaceError),
        ({"groups": 3}, ValueError),
        ({"stride": 0}, SpaceError),
        ({"kernel_size": (3, 0)}, SpaceError),
        ({"kernel_size": (3, 3, 3)}, SpaceError),
        ({"padding": "same", "stride": 2}, SpaceError),
        ({"padding": -1}, SpaceError),
        ({"dilation": 1.5}, SpaceError),
    ],
)
def test_sizes_that_do_not_fit(ranks: int, arguments: dict[str, Any], error: type[Exception]) -> None:
    """A layer that cannot be is refused when it is built, on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, rows=ranks), (2, 8, 8), rows=Split(1))
        with pytest.raises(error):
            Conv2d(**{"in_channels": 2, "out_channels": 4, "kernel_size": 3, **arguments}, domain=domain)

    on_ranks(ranks, main)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_any_batch_axes(ranks: int, batch: tuple[int, ...]) -> None:
    """Images may have no batch axes, or several: every rank takes part, also one that holds nothing."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, rows=ranks), (1, 3, 8), rows=Split(1))
        conv = Conv2d(1, 2, (1, 3), domain=domain)
        pool = MaxPool2d((1, 2), domain=conv.codomain)
        y = pool(conv(torch.zeros((*batch, *domain.shape), dtype=torch.float64)))
        assert tuple(y.shape) == (*batch, *pool.codomain.shape)
        y.sum().backward()

    on_ranks(ranks, main)


@given(st.integers(0, 2**12 - 1), world_sizes())
def test_layers_keep_ranks_together(bits: int, size: int) -> None:
    """Any rank freezes weights or input, or makes no use of the result: all gradients are the sequential ones."""
    sequential = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.MaxPool2d(2)).double()
    for k, parameter in enumerate(sequential.parameters()):
        parameter.data = normal(k, tuple(parameter.shape))
    x = normal(2, (2, 1, 7, 5))

    def main(world: World) -> None:
        input_wanted, weights_wanted, used = (bool(bits >> (3 * world.rank + k) & 1) for k in range(3))
        domain = DistributedSpace(Grid(world, rows=world.size), (1, 7, 5), rows=Split(1))
        conv = Conv2d(1, 2, 3, padding=1, domain=domain)
        pool = MaxPool2d(2, domain=conv.codomain)
        model = torch.nn.Sequential(conv, pool)
        load_state(model, sequential.state_dict())
        model.requires_grad_(weights_wanted)
        part = domain.from_global(x).requires_grad_(input_wanted)
        y = model(part)
        g = used * pool.codomain.from_global(normal(3, (2, *pool.codomain.global_shape)))
        loss = tie((g * y).sum() if used else torch.zeros((), dtype=torch.float64), y)
        if world.size > 1 or loss.requires_grad:
            loss.backward()
        alike, whole = copy.deepcopy(sequential), x.clone().requires_grad_()
        alike(whole).backward(pool.codomain.to_global(g))
        assert (part.grad is not None) == input_wanted
        if input_wanted:
            torch.testing.assert_close(part.grad, domain.from_global(whole.grad), **CLOSE)
        for own, parameter in zip(model.parameters(), alike.parameters(), strict=True):
            assert (own.grad is not None) == weights_wanted
            if weights_wanted:
                torch.testing.assert_close(own.grad, parameter.grad, **CLOSE)

    on_ranks(size, main)
