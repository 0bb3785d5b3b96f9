"""How long a training step takes, distributed and sequential, side by side, and where the time goes.

Run under mpiexec on 1, 2 and 4 ranks (``make bench``), or alone, on simulated ranks. Steps of both networks take turns,
so that both see the same machine; the table has medians, and the median ratio. Each rank has one thread. The sequential
network runs on rank 0 while the others sleep, with as many threads as there are ranks.

``in movements`` is the share of the distributed step that rank 0 spends in movements, forward and backward: it packs,
sends, waits for the others, adds up. The rest is torch's. On one rank nothing is communicated: what a step takes longer
there than the sequential one is the price of the layers themselves.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import gpt
from lenet5 import distributed_lenet5, sequential_lenet5

from distdl_ops import DistributedSpace, Grid, Replicated, Split, World, simulate, world
from distdl_ops.worlds.start import in_job
from torch_bridge.function import Function
from torch_bridge.nn import Conv3d, CrossEntropyLoss, Linear, MaxPool3d

Step = Callable[[], None]
"""A training step."""

GRIDS = {1: (1, 1), 2: (2, 1), 4: (2, 2)}
"""Rows and columns of the grid, by the number of ranks."""


def step(parameters: Iterable[nn.Parameter], loss: Callable[[], torch.Tensor]) -> Step:
    """Return a step with Adam that lowers a loss."""
    optimizer = torch.optim.Adam(parameters)

    def take() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return take


def lenet5(world: World, batch: int) -> tuple[Step, Step]:
    """Return steps of LeNet-5, split in space; its linear layers lie in blocks."""
    rows, cols = GRIDS[world.size]
    space, model, loss = distributed_lenet5(Grid(world, rows=rows, cols=cols), "float32")
    alone = sequential_lenet5()
    x = torch.randn((batch, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(batch) % 10
    return (
        step(model.parameters(), lambda: loss(model(space.from_global(x)), labels)),
        step(alone.parameters(), lambda: nn.functional.cross_entropy(alone(x), labels)),
    )


def volumes(world: World, extent: int, *, overlap: bool) -> tuple[Step, Step]:
    """Return steps of four 3-D convolutions, split in depth and height."""
    rows, cols = GRIDS[world.size]
    grid = Grid(world, depth=rows, height=cols)
    space = DistributedSpace(grid, (1, extent, extent, extent), "float32", depth=Split(1), height=Split(2))
    layers: list[nn.Module] = []
    plain: list[nn.Module] = []
    at = space
    for channels, wider in ((1, 8), (8, 8), (8, 16), (16, 16)):
        conv = Conv3d(channels, wider, 3, padding=1, domain=at, overlap=overlap)
        layers += [conv, nn.ReLU()]
        plain += [nn.Conv3d(channels, wider, 3, padding=1), nn.ReLU()]
        at = conv.codomain
        if channels == wider == 8:
            pool = MaxPool3d(2, domain=at)
            layers.append(pool)
            plain.append(nn.MaxPool3d(2))
            at = pool.codomain
    x = torch.randn((1, *space.global_shape), generator=torch.Generator().manual_seed(0))
    part = space.from_global(x)
    model, alone = nn.Sequential(*layers), nn.Sequential(*plain)
    return (
        step(model.parameters(), lambda: model(part).square().sum()),
        step(alone.parameters(), lambda: alone(x).square().sum()),
    )


def mlp(world: World, width: int, batch: int) -> tuple[Step, Step]:
    """Return steps of two linear layers and a loss, tensor parallel: the classes lie on all ranks."""
    space = DistributedSpace(Grid(world, p=world.size), (width,), "float32", p=Replicated())
    up = Linear(width, 4 * width, domain=space, out_axis="p")
    down = Linear(4 * width, width, domain=up.codomain, codomain=space, in_axis="p")
    last = Linear(width, 1000, domain=space, out_axis="p")
    model, loss = nn.Sequential(up, nn.GELU(), down, nn.GELU(), last), CrossEntropyLoss(domain=last.codomain)
    alone = nn.Sequential(
        nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.GELU(), nn.Linear(width, 1000)
    )
    x = torch.randn((batch, width), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(batch) % 1000
    return (
        step(model.parameters(), lambda: loss(model(x), labels)),
        step(alone.parameters(), lambda: nn.functional.cross_entropy(alone(x), labels)),
    )


def small_gpt(world: World) -> tuple[Step, Step]:
    """Return steps of a GPT of four layers, with heads and features along two ranks, and sequences along the others."""
    model = min(world.size, 2)
    options = gpt.Options(batch_size=16, length=128, width=128, heads=4, layers=4, dtype="float32")
    grid = Grid(world, data=world.size // model, sequence=1, model=model)
    characters = torch.arange(16 * 129).reshape(16, 129) % 100
    inputs, targets = characters[:, :-1], characters[:, 1:]
    _, network = gpt.distributed_gpt(grid, options, 100)
    alone = gpt.sequential_gpt(options, 100)
    return (
        step(network.modules.parameters(), lambda: network.loss(inputs, targets)),
        step(
            alone.parameters(),
            lambda: nn.functional.cross_entropy(alone(inputs).flatten(0, 1), targets.flatten()),
        ),
    )


NETWORKS: dict[str, Callable[[World], tuple[Step, Step]]] = {
    "LeNet-5, 16 images": lambda w: lenet5(w, 16),
    "LeNet-5, 256 images": lambda w: lenet5(w, 256),
    "3-D convolutions, 48^3": lambda w: volumes(w, 48, overlap=False),
    "  with overlap": lambda w: volumes(w, 48, overlap=True),
    "3-D convolutions, 96^3": lambda w: volumes(w, 96, overlap=False),
    "  with overlap ": lambda w: volumes(w, 96, overlap=True),
    "MLP, 512 wide": lambda w: mlp(w, 512, 128),
    "GPT, 4 layers": small_gpt,
}
"""What is timed."""


def main(world: World, name: str, steps: int) -> None:
    """Time one network, and print its line on rank 0."""
    torch.set_num_threads(1)
    distributed, sequential = NETWORKS[name](world)
    moved = [0.0]

    def timed(take: Step) -> float:
        moved[0] = 0.0
        world.allgather(None, "benchmark")
        start = time.perf_counter()
        take()
        world.allgather(None, "benchmark")
        return 1e3 * (time.perf_counter() - start)

    def alone() -> None:
        if world.rank == 0:
            torch.set_num_threads(world.size)
            sequential()
            torch.set_num_threads(1)

    apply = Function.run

    def run(self: Function, parts: Any) -> list[torch.Tensor]:
        start = time.perf_counter()
        results = apply(self, parts)
        if world.rank == 0 or not in_job():
            moved[0] += 1e3 * (time.perf_counter() - start)
        return results

    found = []
    for _ in range(steps + 3):
        if world.rank == 0:
            Function.run = run  # type: ignore[method-assign]
        d = timed(distributed)
        share = moved[0] / d
        if world.rank == 0:
            Function.run = apply  # type: ignore[method-assign]
        found.append((d, share, timed(alone)))
    if world.rank == 0:
        d, share, s = (statistics.median(column) for column in zip(*found[3:], strict=True))
        ratio = statistics.median(one / other for one, _, other in found[3:])
        print(f"{name:<24} {world.size:>5} {d:>16.1f} {s:>16.1f} {ratio:>7.2f} {share:>13.0%}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--steps", type=int, default=15, help="of each network, after three to warm up")
    parser.add_argument("--ranks", type=int, choices=sorted(GRIDS), default=4, help="simulated ones")
    options = parser.parse_args()
    if not in_job() or world().rank == 0:
        columns = f"{'distributed, ms':>16} {'sequential, ms':>16} {'ratio':>7} {'in movements':>13}"
        print(f"{'a training step':<24} {'ranks':>5} {columns}", flush=True)
    for network in NETWORKS:
        if in_job():
            main(world(), network, options.steps)
        else:
            simulate(options.ranks, lambda w, network=network: main(w, network, options.steps))
