"""`torch.compile` on distributed tensors gives the numbers of one process; what has one is run as it is written."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import normal
from torch import nn

from distdl_ops import Grid, Split, World, simulate
from torch_bridge.tensors import DistributedTensor, distribute, distribute_tensor

pytestmark = pytest.mark.serial


def test_a_compiled_module_is_the_module() -> None:
    """Results and gradients agree, for one layout after another."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)).double()
    x = normal(4, 3, 6, grad=False)
    expected = model(x)
    expected.square().sum().backward()

    def main(world: World) -> None:
        grid = Grid(world, rows=2)
        made: Any = distribute(copy.deepcopy(model), grid)
        compiled = torch.compile(made, backend="eager")
        for axis in (0, 2):
            made.zero_grad()
            y = compiled(distribute_tensor(x, grid, rows=Split(axis)))
            assert isinstance(y, DistributedTensor)
            torch.testing.assert_close(y.full_tensor().to_local(), expected)
            y.square().sum().backward()
            for parameter, one in zip(made.parameters(), model.parameters(), strict=True):
                torch.testing.assert_close(parameter.grad.full_tensor().to_local(), one.grad)

    simulate(2, main)


class Square(torch.autograd.Function):
    """A user's Function."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        return 2 * g * ctx.saved_tensors[0]  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's compiler does so
def test_programs_without_distributed_tensors_compile_as_one_graph() -> None:
    """A user's Function and torch's transforms are compiled as they are without this library."""
    x = normal(3)
    compiled = torch.compile(lambda x: Square.apply(x).sum(), fullgraph=True, backend="aot_eager")  # type: ignore[no-untyped-call]
    compiled(x).backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())
    batched = torch.compile(torch.func.vmap(lambda y: y.sum()), fullgraph=True, backend="eager")
    torch.testing.assert_close(batched(torch.ones(2, 3)), torch.full((2,), 3.0))


def test_a_compiled_function_takes_plain_and_distributed_tensors() -> None:
    """The same compiled function is called with one and the other."""
    function = torch.compile(lambda a, b: F.gelu(a @ b).sum(0), backend="eager")
    a, b = normal(4, 5, grad=False), normal(5, 2, grad=False)
    expected = F.gelu(a @ b).sum(0)

    def main(world: World) -> None:
        grid = Grid(world, rows=2)
        found: Any = function(distribute_tensor(a, grid, rows=Split(0)), distribute_tensor(b, grid))
        torch.testing.assert_close(found.full_tensor().to_local(), expected)

    simulate(2, main)
    torch.testing.assert_close(function(a, b), expected)
