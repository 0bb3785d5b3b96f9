"""`torch.compile(fullgraph=True)` on distributed tensors: a rank's program, recorded once, gives the same numbers.

The compiler is torch's own interpreter of graphs; one test runs the default one, which writes C++.
"""

from __future__ import annotations

import copy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import normal
from torch import nn
from torch.utils.checkpoint import checkpoint

from distdl_ops import Copies, Grid, Split, World, simulate
from torch_bridge import UnsupportedError, distribute, distribute_tensor
from torch_bridge.tensors import DistributedTensor

sys.path.insert(0, str(Path(__file__).parents[3] / "examples"))

import resnet
import unet

pytestmark = pytest.mark.serial

Maker = Callable[[], nn.Module]


class Graphs:
    """A compiler that counts the graphs that it is given, and runs them as they are."""

    def __init__(self) -> None:
        self.graphs: list[torch.fx.GraphModule] = []

    def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Any:
        self.graphs.append(graph)
        return graph


def compiled(model: Any, backend: Any = "eager") -> Any:
    """Return a function or module that is compiled as one graph."""
    return torch.compile(model, fullgraph=True, backend=backend)


def train(model: nn.Module, call: Any, x: torch.Tensor, steps: int = 3) -> Iterator[torch.Tensor]:
    """Train a network, and yield losses, gradients, weights and statistics."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(steps):
        torch.manual_seed(step)
        optimizer.zero_grad()
        loss = call(x).square().mean()
        loss.backward()
        yield loss.detach()
        for parameter in model.parameters():
            assert parameter.grad is not None
            yield parameter.grad.clone()
        optimizer.step()
        yield from (tensor.detach().clone() for tensor in (*model.parameters(), *model.buffers()))


def transformer(dropout: float = 0.0) -> nn.Module:
    """Return a layer of a transformer."""
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=dropout, batch_first=True)


@pytest.mark.parametrize(
    ("make", "shape", "axis"),
    [
        (lambda: resnet.resnet(4), (4, 1, 28, 28), 2),
        (lambda: resnet.resnet(4), (4, 1, 28, 28), 0),
        (lambda: unet.UNet(4), (2, 3, 16, 16), 2),
        (transformer, (2, 6, 8), 0),
        (transformer, (2, 6, 8), 1),
    ],
    ids=["resnet rows", "resnet data", "unet rows", "transformer data", "transformer sequence"],
)
def test_networks_train_as_in_one_process(make: Maker, shape: tuple[int, ...], axis: int) -> None:
    """Losses, all gradients, weights and running statistics of three steps agree."""
    torch.manual_seed(0)
    alone = make().double()
    start = copy.deepcopy(alone)
    x = normal(*shape, grad=False)
    expected = list(train(alone, alone, x))

    def main(world: World) -> None:
        grid = Grid(world, p=2)
        model = distribute(copy.deepcopy(start), grid)
        made = train(model, compiled(model), distribute_tensor(x, grid, p=Split(axis)))
        for value, one in zip(made, expected, strict=True):
            torch.testing.assert_close(value.full_tensor().to_local(), one, rtol=1e-9, atol=1e-10)  # type: ignore[attr-defined]

    simulate(2, main)


def test_a_program_draws_the_random_numbers_of_the_eager_one() -> None:
    """Dropout has its masks, in checkpointed blocks too, and new ones in the next step."""
    torch.manual_seed(0)
    start = transformer(dropout=0.3).double()
    x = normal(2, 6, 8, grad=False)

    def main(world: World) -> None:
        grid = Grid(world, p=2)
        eager, other = (distribute(copy.deepcopy(start), grid) for _ in range(2))
        parts = distribute_tensor(x, grid, p=Split(1))
        plain = list(train(eager, lambda x: checkpoint(eager, x, use_reentrant=False), parts))
        for call in (compiled(other), compiled(lambda x: checkpoint(other, x, use_reentrant=False))):
            other.load_state_dict(start.state_dict())
            for value, one in zip(train(other, call, parts), plain, strict=True):
                torch.testing.assert_close(value.to_local(), one.to_local(), rtol=1e-9, atol=1e-10)  # type: ignore[attr-defined]

    simulate(2, main)


def test_a_program_is_recorded_once_for_shapes_layouts_and_modes() -> None:
    """Equal calls share two graphs; another shape, layout, mode of training or gradient has graphs of its own."""

    def main(world: World) -> None:
        grid = Grid(world, p=2)
        model = distribute(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), grid)
        graphs = Graphs()
        call = compiled(model, graphs)

        def new(x: Any) -> int:
            before = len(graphs.graphs)
            call(x)
            return len(graphs.graphs) - before

        x = distribute_tensor(torch.ones(6, 4), grid, p=Split(0))
        assert [new(x), new(x), new(2 * x)] == [2, 0, 0]
        assert new(distribute_tensor(torch.ones(5, 4), grid, p=Split(0))) == 2
        assert [new(distribute_tensor(torch.ones(6, 4), grid)), new(x)] == [2, 0]
        model.eval()
        assert [new(x), new(x)] == [2, 0]
        with torch.no_grad():
            assert [new(x), new(x)] == [1, 0]
        model.train()
        model[1].p = 0.25  # type: ignore[assignment]
        assert [new(x), new(x)] == [2, 0]

    simulate(2, main)


def test_movements_are_opaque_and_in_the_same_order_on_all_ranks() -> None:
    """A graph has one node for each movement, forward and backward; each takes the token of the one before it."""

    def main(world: World) -> list[list[str]]:
        grid = Grid(world, p=2)
        model = distribute(nn.Sequential(*(nn.Conv1d(1, 1, 3, padding=1) for _ in range(3))), grid)
        graphs = Graphs()
        y = compiled(model, graphs)(distribute_tensor(torch.ones(1, 1, 5), grid, p=Split(2)))
        y.sum().backward()
        found = []
        for graph in graphs.graphs:
            moves = [node for node in graph.graph.nodes if node.target is torch.ops.torch_bridge.move.default]
            tokens = [next(iter(node.args[1].all_input_nodes), None) for node in moves]
            assert tokens[1:] == moves[:-1]
            found.append([node.args[2].partition(" ")[2] for node in moves])
        return found

    first, second = simulate(2, main)
    assert first == second
    assert [len(moves) > 2 for moves in first] == [True, True]


def test_functions_of_several_tensors_and_results() -> None:
    """A step with a loss, tensors in dictionaries, results that are numbers, weights in a closure: as without."""
    weight = normal(3, 3)
    x, y = normal(4, 3, grad=False), normal(4, 3, grad=False)

    def main(world: World) -> None:
        grid = Grid(world, p=2)
        held = distribute_tensor(weight.detach(), grid).requires_grad_()

        def step(batch: dict[str, Any], *, scale: float) -> Any:
            made = batch["x"] @ held
            return {"loss": F.mse_loss(made, batch["y"]) * scale, "made": [made], "scale": scale, "none": None}

        call = compiled(step)
        batch = {"x": distribute_tensor(x, grid, p=Split(0)), "y": distribute_tensor(y, grid, p=Split(0))}
        for scale in (2.0, 3.0, 2.0):
            weight.grad = held.grad = None
            expected = F.mse_loss(x @ weight, y) * scale
            found = call(batch, scale=scale)
            assert (found["scale"], found["none"]) == (scale, None)
            assert isinstance(found["made"][0], DistributedTensor)
            torch.testing.assert_close(found["loss"].to_local(), expected)
            found["loss"].backward()
            (gradient,) = torch.autograd.grad(expected, weight)
            torch.testing.assert_close(held.grad.to_local(), gradient)  # type: ignore[attr-defined]

    simulate(2, main)


def test_parts_without_entries_and_partial_sums() -> None:
    """A rank that holds nothing takes part in all movements."""
    w, x = normal(5, 2), normal(1, 5, grad=False)

    def main(world: World) -> None:
        grid = Grid(world, p=3)
        parts = distribute_tensor(x, grid, p=Split(0))
        held = distribute_tensor(w.detach(), grid).requires_grad_()
        found = compiled(lambda x, w: (F.softmax(x @ w, 0).sum(), (x @ w).square().sum(1)))(parts, held)
        (found[0] + found[1].sum()).backward()
        (gradient,) = torch.autograd.grad((x @ w).square().sum(), w)
        torch.testing.assert_close(held.grad.to_local(), gradient)  # type: ignore[attr-defined]
        assert Copies() not in found[1]._placement.roles.values()

    simulate(3, main)


def test_what_is_not_differentiated_is_not_in_the_gradient() -> None:
    """`no_grad`, `detach` and a Function of the user's mean within a program what they mean without it."""

    class Straight(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.round()

        @staticmethod
        def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
            return 3 * g

    def function(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = x * 5
        return (x * y + x.detach() * x + Straight.apply(x)).sum()  # type: ignore[no-any-return, no-untyped-call]

    x = normal(6)

    def main(world: World) -> None:
        held = distribute_tensor(x.detach(), Grid(world, p=2), p=Split(0)).requires_grad_()
        compiled(function)(held).backward()
        torch.testing.assert_close(held.grad.full_tensor().to_local(), 6 * x.detach() + 3)  # type: ignore[attr-defined]

    simulate(2, main)


def test_accumulation_and_backward_passes_in_another_order() -> None:
    """Runs of one program are told apart, in whatever order they are differentiated."""
    x = normal(4)

    def main(world: World) -> None:
        held = distribute_tensor(x.detach(), Grid(world, p=2), p=Split(0)).requires_grad_()
        call = compiled(lambda x, scale: (x.flip(0) * x).sum() * scale)
        losses = [call(held, torch.tensor(float(k))) for k in (1, 2, 3)]
        for k in (1, 0, 2):
            losses[k].backward()
        torch.testing.assert_close(held.grad.full_tensor().to_local(), 12 * x.detach().flip(0))  # type: ignore[attr-defined]

    simulate(2, main)


def numbers(x: Any) -> Any:
    """Branch on a number of a tensor."""
    return x * 2 if x.sum().item() > 0 else x


def listed(x: Any) -> Any:
    """Take a tensor's numbers."""
    return x * x.sum().reshape(1).tolist()[0]


def drawn(x: Any) -> Any:
    """Draw numbers for a plain tensor."""
    return x + torch.rand(())


def masked(x: Any) -> Any:
    """Have a shape that depends on numbers."""
    return x.full_tensor()[x.full_tensor() > 0]


@pytest.mark.parametrize("function", [numbers, listed, drawn, masked])
def test_what_cannot_be_recorded_is_refused(function: Any) -> None:
    """The error says what it is, and that fullgraph is what to leave out; without it, the function runs."""

    def main(world: World) -> None:
        x = distribute_tensor(torch.arange(1.0, 5.0), Grid(world, p=2), p=Split(0))
        with pytest.raises(UnsupportedError, match=r"(?s)fullgraph=True.*Leave fullgraph out"):
            compiled(function)(x)
        torch.compile(function, backend="eager")(x)

    simulate(2, main)


def test_a_module_that_counts_its_calls_is_refused() -> None:
    """A program would not count."""

    class Counts(nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x * self.calls

    def main(world: World) -> None:
        x = distribute_tensor(torch.ones(4), Grid(world, p=2), p=Split(0))
        with pytest.raises(UnsupportedError, match="changes what its modules or variables hold"):
            compiled(Counts())(x)

    simulate(2, main)


def test_second_derivatives_are_refused() -> None:
    """Torch's compiler has none either."""

    def main(world: World) -> None:
        x = distribute_tensor(torch.ones(4), Grid(world, p=2), p=Split(0)).requires_grad_()
        y = compiled(lambda x: (x**3).sum())(x)
        with pytest.raises(UnsupportedError, match="no second derivatives"):
            torch.autograd.grad(y, x, create_graph=True)

    simulate(2, main)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch's default compiler needs one of C++")
def test_the_default_compiler() -> None:
    """It takes both graphs, with movements in them, and gives the same numbers."""
    torch.manual_seed(0)
    start = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.BatchNorm1d(2), nn.Dropout(0.2)).double()
    x = normal(2, 1, 6, grad=False)

    def main(world: World) -> None:
        grid = Grid(world, p=2)
        eager, other = (distribute(copy.deepcopy(start), grid) for _ in range(2))
        parts = distribute_tensor(x, grid, p=Split(2))
        plain = train(eager, eager, parts, 2)
        for value, one in zip(train(other, compiled(other, "inductor"), parts, 2), plain, strict=True):
            torch.testing.assert_close(value.to_local(), one.to_local(), rtol=1e-10, atol=1e-12)  # type: ignore[attr-defined]

    simulate(2, main)


@pytest.mark.parametrize("reshard", [True, False])
def test_sharded_weights_are_gathered_within_a_program(reshard: bool) -> None:
    """Their gradients are those of one process, whether they are given up in between or not."""
    torch.manual_seed(0)
    alone = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    start, x = copy.deepcopy(alone), normal(4, 6, grad=False)
    alone(x).square().sum().backward()

    def main(world: World) -> None:
        grid = Grid(world, p=2)
        model = distribute(copy.deepcopy(start), grid, {"*": {"p": Split(0)}}, reshard=reshard)
        compiled(model)(distribute_tensor(x, grid, p=Split(0))).square().sum().backward()
        for parameter, one in zip(model.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad.full_tensor().to_local(), one.grad)  # type: ignore[union-attr]

    simulate(2, main)
