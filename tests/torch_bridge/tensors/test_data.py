"""What a tensor's numbers are replaced by, or made of: whole tensors, as everywhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from distdl_ops import Grid, Split, World, simulate
from torch_bridge.tensors import distribute, distribute_tensor

pytestmark = pytest.mark.serial


@pytest.mark.parametrize("shape", [(4, 3), (2, 3), (5,), ()])
def test_data_that_are_set_are_whole(shape: tuple[int, ...]) -> None:
    """A plain tensor that becomes the data of a distributed one is the whole, also where it has another shape."""

    def main(world: World) -> Any:
        x = distribute_tensor(torch.zeros(4, 3), Grid(world, rows=2), rows=Split(0))
        given = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
        x.data = given
        return x.shape, bool((x.full_tensor().to_local() == given).all()), x.to_local().shape

    for k, (size, same, part) in enumerate(simulate(2, main)):
        assert size == shape
        assert same
        assert part == ((2, 3) if shape == (4, 3) else shape), k


def test_a_weight_whose_data_are_set_trains() -> None:
    """After ``weight.data = values`` the layer computes with these, whatever its layout is."""
    values = torch.arange(12.0).reshape(4, 3)

    def main(world: World) -> Any:
        grid = Grid(world, model=2)
        layer = distribute(nn.Linear(3, 4, bias=False), grid, {"weight": {"model": Split(0)}})
        layer.weight.data = values
        layer(distribute_tensor(torch.ones(2, 3), grid)).sum().backward()
        return layer(torch.ones(3)).full_tensor().tolist(), getattr(layer.weight.grad, "shape", None)

    assert simulate(2, main) == [(values.sum(1).tolist(), values.shape)] * 2


def test_a_tensor_takes_the_memory_of_another() -> None:
    """After ``x.set_(y)`` a tensor lies as the other, and changes of either are those of both."""

    def main(world: World) -> tuple[list[float], list[float]]:
        grid = Grid(world, rows=2)
        x = distribute_tensor(torch.zeros(2), grid)
        y = distribute_tensor(torch.arange(4.0), grid, rows=Split(0))
        x.set_(y)
        x += 1
        return x.full_tensor().tolist(), y.full_tensor().tolist()

    assert simulate(2, main) == [([1.0, 2.0, 3.0, 4.0],) * 2] * 2


@pytest.mark.filterwarnings("ignore:To copy construct")  # torch would have it written in another way
def test_new_tensors_are_made_of_whole_ones() -> None:
    """`new_tensor` of a tensor that is split is the whole on every rank."""

    def main(world: World) -> list[float]:
        x = distribute_tensor(torch.arange(4.0), Grid(world, rows=2), rows=Split(0))
        return x.new_tensor(x).tolist()

    assert simulate(2, main) == [[0.0, 1.0, 2.0, 3.0]] * 2


def test_where_of_a_condition_alone_gives_indices() -> None:
    """`torch.where` with one argument is `nonzero`, on any layout."""
    condition = torch.tensor([[True, False, True], [False, True, True]])

    def main(world: World) -> list[list[int]]:
        x = distribute_tensor(condition, Grid(world, rows=2), rows=Split(1))
        return [index.tolist() for index in torch.where(x)]

    assert simulate(2, main) == [[index.tolist() for index in torch.where(condition)]] * 2
