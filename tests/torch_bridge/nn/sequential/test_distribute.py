"""A distributed module equals the sequential one that it is made of, whatever is in it; else it says what is."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import AgreementError, At, Copies, DistributedSpace, Grid, Replicated, Split, World
from distdl_ops.testing import on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.nn.sequential.layers import ELEMENTWISE, SAME_NAME
from torch_bridge.testing import assert_equal_sequential, layouts, normal

# Networks of some layers: sums of at most some hundred products, again and again. Each layer multiplies the roundings.
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def drawn(module: torch.nn.Module) -> torch.nn.Module:
    """Return a module with weights that are the same on every rank, and of order one on the way through."""
    for k, (name, value) in enumerate(module.double().state_dict().items()):
        if value.ndim:
            scale = 0.5 if value.ndim > 1 else 0.1
            found = scale * normal(k, tuple(value.shape))
            value.copy_(found**2 + 0.5 if "running_var" in name else found + ("norm" in name))
    return module


class Residual(torch.nn.Module):
    """A block with a residual addition, and a shortcut where its shape changes."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.norm1 = torch.nn.BatchNorm2d(out)
        self.relu = torch.nn.ReLU(inplace=True)
        self.conv2 = torch.nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = torch.nn.BatchNorm2d(out)
        self.shortcut = torch.nn.Sequential()
        if stride != 1 or channels != out:
            self.shortcut = torch.nn.Sequential(
                torch.nn.Conv2d(channels, out, 1, stride, bias=False), torch.nn.BatchNorm2d(out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        y += self.shortcut(x)
        return self.relu(y)


class ResNet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.Sequential(Residual(2, 4), Residual(4, 6, 2))
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.head = torch.nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.blocks(x))
        return self.head(torch.flatten(x, 1))


class UNet(torch.nn.Module):
    """Down and up again, by transposed convolution and by interpolation, with concatenations across."""

    def __init__(self) -> None:
        super().__init__()
        self.down = torch.nn.ModuleList([torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Conv2d(3, 4, 3, padding=1)])
        self.pool = torch.nn.MaxPool2d(2)
        self.bottom = torch.nn.Conv2d(4, 6, 3, padding=1)
        self.up = torch.nn.ConvTranspose2d(6, 4, 2, 2)
        self.merge = torch.nn.ModuleList([torch.nn.Conv2d(8, 3, 3, padding=1), torch.nn.Conv2d(6, 2, 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for layer in self.down:
            x = torch.nn.functional.gelu(layer(x))
            skips.append(x)
            x = self.pool(x)
        x = self.up(torch.tanh(self.bottom(x)))
        x = torch.nn.functional.interpolate(x, size=skips[1].shape[2:], mode="bilinear")
        x = self.merge[0](torch.cat([x, skips[1]], dim=1)).relu_()
        x = torch.nn.functional.interpolate(x, skips[0].shape[-2:])
        return self.merge[1](torch.cat((skips[0], x), 1))


class Functions(torch.nn.Module):
    """Squeeze and excitation, a residual in the other order, poolings and reshapes as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = torch.nn.Conv2d(2, 1, 1)
        self.excite = torch.nn.Conv2d(1, 2, 1)
        self.conv = torch.nn.Conv2d(2, 4, 3, 2, 1)
        self.last = torch.nn.Linear(4 * 3 * 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = torch.sigmoid(self.excite(torch.nn.functional.silu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        x = 1 - x * scale / 2
        y = torch.nn.functional.avg_pool2d(self.conv(x), 3, stride=1, padding=1) + self.conv(x)
        y = torch.nn.functional.max_pool2d(y, kernel_size=2, ceil_mode=True)
        y = torch.nn.functional.adaptive_avg_pool2d(y, (3, 2))
        batch, channels = y.shape[0], y.size(1)
        return self.last(y.view(batch, channels * 3 * 2)).softmax(dim=-1)


def lenet() -> torch.nn.Sequential:
    features = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 5, padding=2), torch.nn.Tanh(), torch.nn.AvgPool2d(2), torch.nn.Conv2d(4, 6, 3)
    )
    return torch.nn.Sequential(
        OrderedDict(
            features=features,
            flatten=torch.nn.Flatten(),
            fc1=torch.nn.Linear(24, 7),
            relu=torch.nn.LeakyReLU(0.1, inplace=True),
            fc2=torch.nn.Linear(7, 3),
        )
    )


def vgg() -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
        torch.nn.ReLU(inplace=True),
        torch.nn.Conv2d(4, 4, (3, 1), padding="same", groups=2, bias=False),
        torch.nn.GroupNorm(2, 4, affine=False),
        torch.nn.MaxPool2d(3, 2, ceil_mode=True),
        torch.nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1),
        torch.nn.Upsample(scale_factor=0.5, mode="bicubic"),
        torch.nn.Identity(),
        torch.nn.InstanceNorm2d(3, affine=True),
        torch.nn.LPPool2d(2, 2),
        torch.nn.UpsamplingBilinear2d(size=(4, 6)),
        torch.nn.PixelUnshuffle(2),
        torch.nn.LogSoftmax(dim=1),
    )


class Attention(torch.nn.Module):
    """Attention across to keys of other sizes, after a transformer with a norm at its end."""

    def __init__(self) -> None:
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", norm_first=True, batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(8), enable_nested_tensor=False)
        self.layer = torch.nn.TransformerEncoderLayer(8, 4, 12, 0.0, layer_norm_eps=1e-3, batch_first=True, bias=False)
        self.narrow = torch.nn.Linear(8, 6)
        self.attention = torch.nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer(self.encoder(x))
        y = self.narrow(x)
        return x + self.attention(x, y, y)[0]


IMAGES = (2, 9, 8)
NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "LeNet": lenet,
    "VGG": vgg,
    "ResNet": ResNet,
    "UNet": UNet,
    "functions": Functions,
}


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=5)
@given(world_sizes(), st.data())
def test_networks(name: str, size: int, data: st.DataObject) -> None:
    """In value, in all gradients and in running statistics, for images in any layout, in space and in channels."""
    alone = drawn(NETWORKS[name]())
    rows = data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    axes = {"rows": rows, "cols": size // rows}
    free = [1, 2] if name in ("VGG", "UNet") else [0, 1, 2]
    roles = data.draw(layouts(axes, IMAGES, free))

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), IMAGES, **roles)
        model = nn.distribute(alone, domain)
        assert model.domain == domain
        assert_same_state(model, alone)
        assert_equal_sequential(model, alone, domain, model.codomain, close=CLOSE)

    on_ranks(size, main)


@settings(max_examples=5)
@given(world_sizes(), st.data())
def test_transformers(size: int, data: st.DataObject) -> None:
    """With sequences in any layout, and heads along an axis where that is asked for."""
    alone = drawn(Attention())
    role = data.draw(st.sampled_from([Replicated(), Split(0)]))
    along = {"model_axis": "p"} if data.draw(st.booleans()) else {}
    layers = {"layer": along, "encoder.layers.1": along}

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=size), (5, 8), p=role)
        model = nn.distribute(alone, domain, layers=layers)
        assert_same_state(model, alone)
        assert_equal_sequential(model, alone, domain, model.codomain, close=CLOSE)

    on_ranks(size, main)


def assert_same_state(model: torch.nn.Module, alone: torch.nn.Module) -> None:
    """Raise unless the gathered state is the sequential one, bit by bit."""
    found, expected = nn.gather_state(model), alone.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


MLP = (12,)


@settings(max_examples=15)
@given(world_sizes(), st.data())
def test_a_perceptron_by_rows_and_columns(size: int, data: st.DataObject) -> None:
    """With its weights along any axes that are asked for, or as the features come."""
    alone = drawn(
        torch.nn.Sequential(
            OrderedDict(up=torch.nn.Linear(12, 16), act=torch.nn.GELU(), down=torch.nn.Linear(16, 5, bias=False))
        )
    )
    role = data.draw(st.sampled_from([Replicated(), Split(0), At(size - 1)]))
    layers = data.draw(
        st.sampled_from([{}, {"up": {"out_axis": "p"}}, {"up": {"out_axis": "p"}, "down": {"in_axis": "p"}}])
    )

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=size), MLP, p=role)
        model = nn.distribute(alone, domain, layers=layers)
        if layers and size > 1:
            assert model.up.weight.shape == (16 * (world.rank + 1) // size - 16 * world.rank // size, 12) or size == 3
        assert_equal_sequential(model, alone, domain, model.codomain, close=CLOSE)

    on_ranks(size, main)


def test_arguments_for_layers(ranks: int) -> None:
    """A codomain is one of any layer; what lies elsewhere is moved for an addition."""

    class Sum(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(2, 2, 1)
            self.relu = torch.nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.relu(self.conv(x))

    alone = drawn(Sum())

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), IMAGES, p=Split(1))
        turned = domain.with_roles(p=Split(2))
        for layers in ({"conv": {"codomain": turned}}, {"relu": {"codomain": turned}}):
            model = nn.distribute(alone, domain, layers=layers)
            found = nn.movements(model)
            assert found[f"{'add' if 'conv' in layers else 'relu'}_move"].domain == (
                turned if "conv" in layers else domain
            )
            assert model.codomain == domain
            assert_equal_sequential(model, alone, domain, domain, close=CLOSE)

    on_ranks(ranks, main)


def test_several_inputs_and_outputs(ranks: int) -> None:
    """Tensors in, tensors out, and arguments with defaults that are not given."""

    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor, y: torch.Tensor, scale: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
            return self.linear(x) + y, scale * self.linear(y)

    alone = drawn(Two())
    x, y = normal(1, (2, 6, 4)), normal(2, (2, 6, 4))

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=ranks), (6, 4), p=Split(0))
        model = nn.distribute(alone, (S, S))
        found = model(S.from_global(x), S.from_global(y))
        for part, space, expected in zip(found, model.codomain, alone(x, y), strict=True):
            torch.testing.assert_close(part, space.from_global(expected.detach()), **CLOSE)
        with pytest.raises(SpaceError, match="expected the spaces of 3 inputs, found 1"):
            nn.distribute(alone, S)
        with pytest.raises(SpaceError, match=r"linear: it is called twice, on .* and on"):
            nn.distribute(alone, (S, S.with_roles(p=Replicated())))

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_what_is_kept(ranks: int) -> None:
    """Which parameters are trained, what is in evaluation, and rank 0's weights; the original stays as it is."""

    def main(world: World) -> None:
        alone = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3), torch.nn.Dropout(0.5))
        drawn(alone)
        alone[0].bias.requires_grad_(False)
        alone[1].eval()
        alone[1].num_batches_tracked += 7
        expected = copy.deepcopy(alone.state_dict())
        if world.rank:
            alone = alone.to("meta")  # a module without numbers
        model = nn.distribute(alone, DistributedSpace(Grid(world, p=2), IMAGES, p=Split(1)))
        found = nn.gather_state(model)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert trained == {"0.weight", "1.weight", "1.bias"}
        modes = [model.get_submodule(name).training for name in "012"]
        assert modes == [True, False, True]
        assert isinstance(alone[0], torch.nn.Conv2d)

    on_ranks(ranks, main)


@pytest.mark.serial
@pytest.mark.parametrize("name", sorted({*SAME_NAME, *ELEMENTWISE}))
def test_every_name_of_the_table(name: str) -> None:
    """Is one of torch's layers; where it has a distributed one, that is one of ours."""
    assert issubclass(getattr(torch.nn, name), torch.nn.Module)
    assert name in ELEMENTWISE or issubclass(getattr(nn, name), torch.nn.Module)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_copies(ranks: int) -> None:
    """A deep copy has weights of its own, and gives the same results."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=2), IMAGES, p=Split(1))
        model = nn.distribute(drawn(ResNet()), domain)
        other = copy.deepcopy(copy.deepcopy(model))
        assert (other.domain, other.codomain) == (model.domain, model.codomain)
        x = torch.ones((3, *domain.shape), dtype=torch.float64)
        assert torch.equal(model(x), other(x))
        other.head.weight.data.zero_()
        assert bool(model.head.weight.any())

    on_ranks(ranks, main)


def test_one_layer(ranks: int) -> None:
    """A layer by itself becomes the distributed layer."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), IMAGES, p=Split(1))
        alone = drawn(torch.nn.Conv2d(2, 3, 3))
        model = nn.distribute(alone, domain)
        assert isinstance(model, nn.Conv2d)
        assert_equal_sequential(model, alone, domain, model.codomain)
        relu = nn.distribute(torch.nn.ReLU(), domain)
        assert relu.codomain == domain

    on_ranks(ranks, main)


class Using(torch.nn.Module):
    """A module with a forward pass of its own."""

    def __init__(self, forward: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 2, 1)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.does = forward

    def forward(self, x: torch.Tensor) -> Any:
        return self.does(self, self.conv(x))


def sequential(*layers: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Sequential(*layers))


def hooked() -> torch.nn.Module:
    module = sequential(torch.nn.ReLU())
    module[0][0].register_forward_hook(lambda *_: None)
    return module


def tied() -> torch.nn.Module:
    module = sequential(torch.nn.Conv2d(2, 2, 1), torch.nn.Conv2d(2, 2, 1))
    module[0][1].weight = module[0][0].weight
    return module


@pytest.mark.parametrize("ranks", [1, 2], indirect=True)
@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: sequential(torch.nn.ReLU(), torch.nn.PReLU()), r"0\.1 \(PReLU\) is not known; known are Adaptive"),
        (lambda: sequential(torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(2, 2, 1))), "0.0"),
        (hooked, r"0\.0 \(ReLU\): its hooks would be lost"),
        (tied, r"0\.1\.weight and 0\.0\.weight are the same parameter"),
        (lambda: sequential(torch.nn.Conv2d(3, 2, 1)), "0.0: .*expected images with 3 channels, found 2"),
        (lambda: sequential(torch.nn.MaxPool2d(2, return_indices=True)), "0.0: .*indices"),
        (lambda: sequential(torch.nn.Softmax()), "0.0: expected one axis as dim, found None"),
        (lambda: sequential(torch.nn.Flatten(0)), "0.0: .*the batch's is 0"),
        (lambda: sequential(torch.nn.TransformerEncoderLayer(8, 2)), "0.0: .*expected batch_first=True"),
        (lambda: sequential(torch.nn.TransformerDecoderLayer(8, 2)), r"0\.0 \(TransformerDecoderLayer\) is not known"),
        (lambda: Using(lambda _, x: torch.fft.fft(x)), "fft_fft is not known"),
        (lambda: Using(lambda _, x: x.sort()), "sort is not known"),
        (lambda: Using(lambda m, x: x * m.scale), "scale is used outside of a layer"),
        (lambda: Using(lambda _, x: x if x.sum() > 0 else -x), "Using cannot be traced"),
        (lambda: Using(lambda _, x: x.relu_() + torch.relu(x)), "relu_: it changes a tensor in place that is used"),
        (lambda: Using(lambda _, x: x[:, :1]), "getitem: a tensor that is spread"),
        (lambda: Using(lambda _, x: x.reshape(2, -1, 9)), "reshape: expected everything but the batch"),
        (lambda: Using(lambda _, x: x.mean(1)), "mean: expected means over the spatial axes"),
        (lambda: Using(lambda _, x: x * x.shape[0]), "mul: expected tensors and numbers, found batch"),
        (lambda: Using(lambda _, x: torch.cat([x, x])), "cat: expected an axis from 1 to 3"),
        (
            lambda: Using(lambda _, x: torch.cat([x, torch.nn.functional.max_pool2d(x, 2)], 1)),
            "cat: expected tensors that differ in",
        ),
        (lambda: Using(lambda _, x: x + x.mean((2, 3))), "add: expected tensors of shape"),
        (lambda: Using(lambda _, x: x.shape[1:]), "output: expected a tensor, found"),
        (lambda: Using(lambda _, x: torch.nn.functional.relu(x).transpose(1, 2)), "transpose is not known"),
    ],
)
def test_what_is_refused(ranks: int, make: Callable[[], torch.nn.Module], complaint: str) -> None:
    """By name, and why, on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=max(ranks, 1)), (2, 9, 8), p=Split(1))
        with pytest.raises(SpaceError, match=f"distribute: .*{complaint}"):
            nn.distribute(make(), domain)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_arguments_that_do_not_fit(ranks: int) -> None:
    """Names that are no layers, arguments that layers do not take, weights that are not used, ranks that differ."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), IMAGES, p=Split(1))
        alone = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1))
        with pytest.raises(SpaceError, match=r"some of the layers \['0'\], found some for \['conv'\]"):
            nn.distribute(alone, domain, layers={"conv": {"out_axis": "p"}})
        with pytest.raises(SpaceError, match=r"0: .*rows"):
            nn.distribute(alone, domain, layers={"0": {"rows": "p"}})
        with pytest.raises(SpaceError, match=r"0: .*the grid has no axis 'q'"):
            nn.distribute(alone, domain, layers={"0": {"out_axis": "q"}})
        with pytest.raises(SpaceError, match=r"0: .*each entry once"):
            nn.distribute(alone, domain.with_roles(p=Copies()))
        with pytest.raises(AgreementError, match="disagree"):
            nn.distribute(torch.nn.Conv2d(2, 3 + world.rank, 1), domain)
        with pytest.raises(AgreementError, match="disagree"):
            nn.distribute(torch.nn.PReLU() if world.rank else torch.nn.ReLU(), domain)
        with pytest.raises(TypeError, match="distribute: expected a DistributedSpace"):
            nn.distribute(alone, IMAGES)
        unused = Using(lambda _, x: x)
        with pytest.raises(SpaceError, match="the forward pass does not use scale"):
            nn.distribute(unused, domain)

    on_ranks(ranks, main)
