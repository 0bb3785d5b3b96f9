"""Weights that are gathered where they are used, and again in the backward pass, on any layout."""

from __future__ import annotations

import copy
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from harness import layouts, normal
from hypothesis import given
from torch import nn

from distdl_ops import Grid, Split, World, simulate
from distdl_ops.testing import on_ranks
from torch_bridge.tensors import distribute, distribute_tensor
from torch_bridge.tensors.sharding import Weight

MODULES: dict[str, Any] = {
    "linear": (lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)), (3, 4)),
    "convolution": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.PReLU(4), nn.Conv1d(4, 2, 3)), (3, 2, 5)),
    "layer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), (2, 3, 4)),
}


@given(st.data())
def test_split_weights_have_the_gradients_of_one_process(data: st.DataObject) -> None:
    """Also where some ranks have no entry of the data or of a weight: they gather for the others."""
    make, shape = MODULES[data.draw(st.sampled_from(sorted(MODULES)))]
    torch.manual_seed(0)
    module = make().double()
    names = [name for name, _ in module.named_parameters()]
    layout = data.draw(layouts(shape, *[tuple(p.shape) for _, p in module.named_parameters()]))
    x, cotangent = normal(*shape), None
    y = copy.deepcopy(module)
    expected = y(x)
    cotangent = normal(*expected.shape, seed=3, grad=False)
    expected.backward(cotangent)

    def main(world: World) -> None:
        grid = Grid(world, **layout.axes)
        roles = dict(zip(names, layout.roles[1:], strict=True))
        split = distribute(copy.deepcopy(module), grid, parameters=roles)
        found = split(distribute_tensor(x.detach(), grid, **layout.roles[0])).full_tensor()
        torch.testing.assert_close(found.to_local(), expected, rtol=1e-12, atol=1e-12)
        found.backward(cotangent)
        for p, q in zip(split.parameters(), y.parameters(), strict=True):
            gradient: Any = p.grad
            torch.testing.assert_close(gradient.full_tensor().to_local(), q.grad, rtol=1e-12, atol=1e-12)

    on_ranks(layout.size, main)


def test_no_whole_weight_outlives_its_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the backward pass a rank has its part of each weight only."""
    held: list[Weight] = []
    prepare = Weight.prepare

    def noted(weight: Weight) -> None:
        prepare(weight)
        held.append(weight)

    monkeypatch.setattr(Weight, "prepare", noted)

    def main(world: World) -> None:
        grid = Grid(world, data=2)
        layer = distribute(nn.Linear(4, 3), grid, parameters={"weight": {"data": Split(0)}})
        layer(distribute_tensor(torch.ones(4, 4), grid, data=Split(0)).requires_grad_()).sum().backward()

    simulate(2, main)
    assert held
    assert all(weight.whole is None for weight in held)
