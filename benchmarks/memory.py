"""How much memory a training step takes on each rank, on 1, 2 and 4 ranks.

Run under mpiexec (``make bench``), one line of the table for each number of ranks. Measured is by how much the largest
resident memory of rank 0's process, and of the rank that has most, grows from before the model is made until steps have
been taken. Of what the process has loaded by then, nothing is counted.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from unet import UNet

from distdl_ops import Grid, Split, World, world
from torch_bridge import distribute, distribute_tensor

MIB = 2**20


def split_in_space(world: World) -> Callable[[], torch.Tensor]:
    """Return a step of a U-Net on images of 768 x 768, split into rows."""
    grid = Grid(world, p=world.size)
    model = distribute(UNet(16), grid)
    x = distribute_tensor(torch.ones(1, 3, 768, 768), grid, p=Split(2))
    return with_adam(model, lambda: model(x).square().mean())


def linear_layers(world: World, width: int, count: int, **roles: Split) -> Callable[[], torch.Tensor]:
    """Return a step of some linear layers, each rank with samples of its own."""
    grid = Grid(world, p=world.size)
    layers = [distribute(nn.Linear(width, width), grid, {"*": roles}) for _ in range(count)]
    model = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
    x = distribute_tensor(torch.ones(8 * world.size, width), grid, p=Split(0))
    return with_adam(model, lambda: model(x).square().mean())


def with_adam(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """Return a function that takes a step."""
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        found = loss()
        found.backward()
        optimizer.step()
        return found

    return step


NETWORKS: dict[str, Callable[[World], Callable[[], torch.Tensor]]] = {
    "unet": split_in_space,
    "sharded": lambda world: linear_layers(world, 1024, 24, p=Split(0)),
    "replicated": lambda world: linear_layers(world, 1024, 24),
}
"""What is measured, each in a job of its own: the largest memory of a process never shrinks. The linear layers have
4 MiB of weights each, the U-Net little but its activations, of images of 768 x 768."""


def largest() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found / (MIB if sys.platform == "darwin" else 1024)


def main(world: World, name: str) -> None:
    """Take steps, and print a line of the table on rank 0."""
    torch.set_num_threads(1)
    linear_layers(world, 2, 1)()  # loads what torch loads with the first step
    before = largest()
    step = NETWORKS[name](world)
    for _ in range(3):
        step()
    grown = world.allgather(largest() - before, "benchmark")
    if world.rank == 0:
        print(f"{name:<15} {world.size:>5} {grown[0]:>12.0f} {max(grown):>12.0f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("network", choices=sorted(NETWORKS))
    options = parser.parse_args()
    if world().size == 1:
        print(f"{'peak of a step':<15} {'ranks':>5} {'rank 0, MiB':>12} {'most, MiB':>12}", flush=True)
    main(world(), options.network)
