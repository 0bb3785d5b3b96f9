"""A training step of the examples' networks across ranks, beside one process, and what a call costs in Python.

Run under mpiexec (``make bench``). On each number of ranks the distributed step and the step in one process are timed
by turns, in one run: medians of both, and their ratio. While rank 0 takes its step alone, the others wait. The batch
is the same, so with ranks on processors of their own the ratio would be one over their number, and communication;
where they share processors, it is at least one.

With ``--compiled``, each network is one graph (``torch.compile(fullgraph=True)``), beside itself as it is written.

On one rank, two more tables: what an entrywise call and a convolution of tiny distributed tensors cost more than
torch's own. Their decisions are cached, so this is the price of the Python between a user's call and torch.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import gpt
import lenet5
import resnet

from distdl_ops import Grid, Split, World, world
from torch_bridge import distribute, distribute_tensor

Step = Callable[[], None]


def near_square(count: int) -> tuple[int, int]:
    """Return rows and columns of a grid of so many ranks."""
    rows = max(n for n in range(1, int(count**0.5) + 1) if count % n == 0)
    return rows, count // rows


def step_of(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Step:
    """Return a step of training."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


@dataclass
class Network:
    """A network on ranks and alone, its loss, and what the loss takes."""

    model: nn.Module
    alone: nn.Module
    loss: Callable[..., torch.Tensor]
    parts: list[torch.Tensor]
    inputs: list[torch.Tensor]

    def steps(self, world: World, compiled: bool) -> tuple[Step, Step]:
        """Return steps on ranks, and of what they are compared with: as written on all ranks, or on rank 0 alone."""
        if compiled:
            whole: Any = torch.compile(copy.deepcopy(self.model), fullgraph=True)
            return self._step(whole, self.parts), self._step(self.model, self.parts)
        alone = self._step(self.alone, self.inputs)
        return self._step(self.model, self.parts), alone if world.rank == 0 else lambda: None

    def _step(self, model: nn.Module, inputs: list[torch.Tensor]) -> Step:
        return step_of(model, lambda: self.loss(model, *inputs))


def images(world: World, alone: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> Network:
    """Return a classifier of images that are split in space."""
    rows, cols = near_square(world.size)
    grid = Grid(world, rows=rows, cols=cols)

    def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(model(x), labels)

    parts = distribute_tensor(x, grid, rows=Split(2), cols=Split(3))
    return Network(distribute(copy.deepcopy(alone), grid), alone, loss, [parts], [x])


def lenet(world: World) -> Network:
    """Return LeNet-5."""
    return images(world, lenet5.lenet5(), torch.randn(64, 1, 28, 28), torch.arange(64) % 10)


def residual(world: World) -> Network:
    """Return the residual network."""
    return images(world, resnet.resnet(32), torch.randn(32, 1, 28, 28), torch.arange(32) % 10)


def text(world: World) -> Network:
    """Return the GPT: heads and features along one axis of the grid, sequences along the other."""
    data, model_ranks = near_square(world.size)
    grid = Grid(world, data=data, model=model_ranks)
    alone = gpt.GPT(128, 128, 256, 8, 4)
    model = distribute(copy.deepcopy(alone), grid, gpt.TENSOR_PARALLEL)
    characters = torch.randint(128, (16, 129))
    inputs, targets = characters[:, :-1], characters[:, 1:]
    parts = [distribute_tensor(x, grid, data=Split(0)) for x in (inputs, targets)]

    def loss(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(model(inputs).movedim(-1, 1), targets)

    return Network(model, alone, loss, parts, [inputs, targets])


NETWORKS: dict[str, Callable[[World], Network]] = {"LeNet-5": lenet, "ResNet": residual, "GPT": text}


def seconds(step: Callable[[], Any]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def compare(world: World, name: str, compiled: bool, rounds: int = 15) -> None:
    """Time both steps by turns, and print a line on rank 0."""
    torch.manual_seed(0)
    distributed, alone = NETWORKS[name](world).steps(world, compiled)
    times: tuple[list[float], list[float]] = [], []
    for turn in range(rounds + 3):
        world.allgather(None, "together")
        pair = seconds(distributed), seconds(alone)
        if turn >= 3:  # the first ones decide and warm up
            for found, value in zip(times, pair, strict=True):
                found.append(value)
    if world.rank == 0:
        ours, one = map(statistics.median, times)
        ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
        print(f"{name:<10} {world.size:>5} {1e3 * ours:>13.1f} {1e3 * one:>15.1f} {ratio:>7.2f}", flush=True)


def calls(world: World) -> None:
    """Print what calls of tiny tensors cost more than torch's own, in microseconds."""
    grid = Grid(world, p=1)
    x, image, weight = torch.ones(4), torch.ones(1, 1, 8, 8), torch.ones(1, 1, 3, 3)
    dx, dimage, dweight = (distribute_tensor(t, grid) for t in (x, image, weight))
    sx, simage = distribute_tensor(x, grid, p=Split(0)), distribute_tensor(image, grid, p=Split(2))
    cases: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "add, replicated": (lambda: dx + dx, lambda: x + x),
        "add, split": (lambda: sx + sx, lambda: x + x),
        "conv2d, replicated": (
            lambda: nn.functional.conv2d(dimage, dweight, padding=1),
            lambda: nn.functional.conv2d(image, weight, padding=1),
        ),
        "conv2d, split": (
            lambda: nn.functional.conv2d(simage, dweight, padding=1),
            lambda: nn.functional.conv2d(image, weight, padding=1),
        ),
    }
    print(f"\n{'call':<20} {'ours, us':>9} {'torch, us':>10} {'more, us':>9}")
    for name, pair in cases.items():
        times: tuple[list[float], list[float]] = [], []
        for _ in range(30):
            for found, call in zip(times, pair, strict=True):
                found.append(seconds(lambda call=call: [call() for _ in range(200)]) / 200)  # type: ignore[misc]
        ours, torchs = map(statistics.median, times)
        print(f"{name:<20} {1e6 * ours:>9.1f} {1e6 * torchs:>10.1f} {1e6 * (ours - torchs):>9.1f}", flush=True)


def main(world: World) -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    compiled = "--compiled" in sys.argv
    if world.size == 1 or (compiled and world.rank == 0):
        columns = ("compiled, ms", "as written, ms") if compiled else ("a step, ms", "one process, ms")
        print(f"{'network':<10} {'ranks':>5} {columns[0]:>13} {columns[1]:>15} {'ratio':>7}", flush=True)
    for name in NETWORKS:
        compare(world, name, compiled)
    if world.size == 1 and not compiled:
        calls(world)


if __name__ == "__main__":
    main(world())
