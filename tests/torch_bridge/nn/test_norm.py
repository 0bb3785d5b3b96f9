"""Distributed normalisations equal torch's, in value, in all gradients, and in their running statistics."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, Split, World
from distdl_ops.testing import grids, on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts, normal


def perturbed(layer: torch.nn.Module) -> torch.nn.Module:
    """Return a layer whose weights are no longer ones and zeros."""
    for k, parameter in enumerate(layer.parameters()):
        parameter.data = normal(k, tuple(parameter.shape))
    return layer


@given(st.data(), world_sizes(), st.sampled_from(["LayerNorm", "RMSNorm"]))
def test_norms_of_the_last_axes(data: st.DataObject, size: int, name: str) -> None:
    """LayerNorm and RMSNorm, over one axis or more, split along any axes."""
    shape = data.draw(st.lists(st.integers(2, 6), min_size=1, max_size=3).map(tuple))
    last = data.draw(st.integers(1, len(shape)))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    arguments: dict[str, Any] = {"elementwise_affine": data.draw(st.booleans())}
    if name == "LayerNorm":
        arguments["bias"] = data.draw(st.booleans())
    normalized = shape[-last:] if last > 1 else shape[-1]
    sequential = perturbed(getattr(torch.nn, name)(normalized, **arguments).double())

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, name)(normalized, **arguments, domain=domain)
        nn.load_state(layer, sequential.state_dict())
        assert_equal_sequential(layer, sequential, domain, layer.codomain, batch=(3,))

    on_ranks(size, main)


@given(st.data(), world_sizes(), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_group_norm(data: st.DataObject, size: int, groups: int, each: int, affine: bool) -> None:
    """Groups that lie on several ranks, whole ranks of several groups, space split or not."""
    shape = (groups * each, *data.draw(st.lists(st.integers(2, 4), min_size=1, max_size=2)))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    sequential = perturbed(torch.nn.GroupNorm(groups, groups * each, affine=affine).double())

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = nn.GroupNorm(groups, groups * each, affine=affine, domain=domain)
        nn.load_state(layer, sequential.state_dict())
        assert_equal_sequential(layer, sequential, domain, layer.codomain, batch=(3,))

    on_ranks(size, main)


@given(st.data(), world_sizes(), st.sampled_from(["BatchNorm", "InstanceNorm"]))
def test_norms_of_channels(data: st.DataObject, size: int, kind: str) -> None:
    """Batch and instance normalisation, in training, then in training again, then in evaluation."""
    spatial = data.draw(st.integers(1, 3))
    shape = (3, *(data.draw(st.integers(2, 4)) for _ in range(spatial)))
    if kind == "BatchNorm" and spatial == 1 and data.draw(st.booleans()):
        shape = shape[:1]
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    arguments = {
        "momentum": data.draw(st.sampled_from([0.1, 0.5, *[None] * (kind == "BatchNorm")])),
        "affine": data.draw(st.booleans()),
        "track_running_stats": data.draw(st.booleans()),
    }
    name = f"{kind}{spatial}d"
    sequential = perturbed(getattr(torch.nn, name)(3, **arguments).double())

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, name)(3, **arguments, domain=domain)
        nn.load_state(layer, sequential.state_dict())
        for training, batch in ((True, 3), (True, 2), (False, 2)):
            layer.zero_grad()
            own = copy.deepcopy(sequential).train(training)  # simulated ranks share it
            assert_equal_sequential(layer.train(training), own, domain, layer.codomain, batch=(batch,))

    on_ranks(size, main)


@pytest.mark.parametrize("name", ["BatchNorm2d", "InstanceNorm2d"])
def test_one_value_for_each_channel(ranks: int, name: str) -> None:
    """There is no variance of one value: in training, all ranks refuse it as torch does."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (2, 1, 1), p=Split(1))
        with pytest.raises(ValueError, match="more than one value"):
            getattr(nn, name)(2, domain=domain)(torch.zeros((1, *domain.shape), dtype=torch.float64))

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_inputs_that_do_not_fit(ranks: int) -> None:
    """The error names the layer and the space, on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (4, 6), p=Split(1))
        for build, complaint in (
            (lambda: nn.LayerNorm(5, domain=domain), "LayerNorm on .*shape .*5"),
            (lambda: nn.LayerNorm((), domain=domain), "LayerNorm"),
            (lambda: nn.RMSNorm((3, 6), domain=domain), "RMSNorm on .*shape .*3, 6"),
            (lambda: nn.GroupNorm(1, 3, domain=domain), "GroupNorm on .*3 channels"),
            (lambda: nn.BatchNorm2d(4, domain=domain), "BatchNorm2d on .*3 dimensions"),
            (lambda: nn.BatchNorm1d(4, domain=domain.with_roles(p=Copies())), "BatchNorm1d on .*each entry once"),
        ):
            with pytest.raises(SpaceError, match=complaint):
                build()
        with pytest.raises(ValueError, match="divisible"):
            nn.GroupNorm(3, 4, domain=domain)

    on_ranks(ranks, main)
