"""Networks of distributed layers train as the sequential ones, and go on from their state on any other layout."""

from collections import OrderedDict
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import At, DistributedSpace, Grid, Movement, Replicated, Role, Split, World
from distdl_ops.testing import on_ranks, world_sizes
from torch_bridge import Operator, nn
from torch_bridge.testing import normal

STEPS = 3
# Each step multiplies the roundings of the one before; after a few, they are still far below this.
CLOSE = {"rtol": 1e-10, "atol": 1e-11}


def sequential_network() -> torch.nn.Sequential:
    """Return a small network for images of 2 x 9 x 8, the same on every rank of a job."""
    network = torch.nn.Sequential(
        OrderedDict(
            conv1=torch.nn.Conv2d(2, 6, 3, padding="same", padding_mode="reflect"),
            norm1=torch.nn.BatchNorm2d(6),
            act1=torch.nn.GELU(),
            pool1=torch.nn.MaxPool2d(3, 2, 1, ceil_mode=True),
            conv2=torch.nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=3),
            norm2=torch.nn.GroupNorm(2, 6),
            up=torch.nn.Upsample(scale_factor=2.0, mode="bilinear"),
            pool2=torch.nn.AdaptiveAvgPool2d(1),
            flatten=torch.nn.Flatten(),
            linear=torch.nn.Linear(6, 5),
        )
    ).double()
    for k, parameter in enumerate(network.parameters()):
        parameter.data = normal(k, tuple(parameter.shape))
    return network


def distributed_network(grid: Grid, split: dict[str, Role]) -> tuple[DistributedSpace, torch.nn.Sequential, Any]:
    """Return the space of the images, the network, whose second convolution has its groups along p, and its loss."""
    images = DistributedSpace(grid, (2, 9, 8), **split)
    conv1 = nn.Conv2d(2, 6, 3, padding="same", padding_mode="reflect", domain=images)
    norm1 = nn.BatchNorm2d(6, domain=conv1.codomain)
    pool1 = nn.MaxPool2d(3, 2, 1, ceil_mode=True, domain=conv1.codomain)
    conv2 = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=3, domain=pool1.codomain, out_axis="p")
    norm2 = nn.GroupNorm(2, 6, domain=conv2.codomain)
    up = nn.Upsample(scale_factor=2.0, mode="bilinear", domain=conv2.codomain)
    pool2 = nn.AdaptiveAvgPool2d(1, domain=up.codomain)
    gathered = pool2.codomain.with_roles(p=Replicated(), q=At(0))
    features = DistributedSpace(grid, (6,), p=Replicated(), q=At(0))
    linear = nn.Linear(6, 5, domain=features, out_axis="p")
    layers = OrderedDict(
        conv1=conv1,
        norm1=norm1,
        act1=torch.nn.GELU(),
        pool1=pool1,
        conv2=conv2,
        norm2=norm2,
        up=up,
        pool2=pool2,
        gather=Operator(Movement(pool2.codomain, gathered)),
        flatten=torch.nn.Flatten(),
        linear=linear,
    )
    return images, torch.nn.Sequential(layers), nn.CrossEntropyLoss(domain=linear.codomain)


def train(model: torch.nn.Module, loss: Any, clip: Any, x: torch.Tensor, target: torch.Tensor) -> list[float]:
    """Take some steps, and return the losses and the norms of the gradients."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss(model(x), target)
        value.backward()
        norm = clip(model)
        optimizer.step()
        found += [value.item(), norm.item()]
    return found


@given(world_sizes(), st.data())
def test_training_and_going_on_elsewhere(size: int, data: st.DataObject) -> None:
    """Losses, norms, weights and statistics are the sequential ones; then again, from the state, on another grid."""
    x, target = normal(30, (4, 2, 9, 8)), torch.tensor([0, 4, 2, 2])
    alone = sequential_network()
    begin = {name: value.clone() for name, value in alone.state_dict().items()}

    def clip(model: torch.nn.Module) -> torch.Tensor:
        return torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    expected = [train(alone, torch.nn.functional.cross_entropy, clip, x, target) for _ in range(2)]
    grids = []
    for _ in expected:
        p = data.draw(st.integers(1, size))
        split = data.draw(st.sampled_from([{"p": Split(1), "q": Split(2)}, {"p": Split(2), "q": Replicated()}]))
        grids.append(({"p": p, "q": size // p}, split))

    def main(world: World) -> None:
        state = begin
        for (axes, split), numbers in zip(grids, expected, strict=True):
            images, model, loss = distributed_network(Grid(world, **axes), split)
            nn.load_state(model, state)
            found = train(model, loss, lambda model: nn.clip_grad_norm_(model, 1.0), images.from_global(x), target)
            torch.testing.assert_close(found, numbers, **CLOSE)
            state = nn.gather_state(model)
        assert set(state) == set(alone.state_dict())
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(state[name], value, **CLOSE)

    on_ranks(size, main)
