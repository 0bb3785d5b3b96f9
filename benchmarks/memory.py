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

import torch
from torch import nn

from distdl_ops import DistributedSpace, Grid, Split, World, world
from torch_bridge.nn import DataParallel, distribute

MIB = 2**20


def unet(width: int) -> nn.Module:
    """Return a U-Net of two levels for square images."""

    def block(channels: int, wider: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(channels, wider, 3, padding=1), nn.ReLU(), nn.Conv2d(wider, wider, 3, padding=1), nn.ReLU()
        )

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.deep, self.up = block(1, width), block(width, 2 * width), block(3 * width, width)
            self.pool, self.grow = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
            self.last = nn.Conv2d(width, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            fine = self.down(x)
            coarse = self.grow(self.deep(self.pool(fine)))
            return self.last(self.up(torch.cat([fine, coarse], dim=1)))

    return UNet()


def split_in_space(world: World) -> Callable[[], torch.Tensor]:
    """Return a step of a U-Net on images of 768 x 768, split into rows."""
    space = DistributedSpace(Grid(world, p=world.size), (1, 768, 768), "float32", p=Split(1))
    model = distribute(unet(16), space)
    x = torch.ones((1, *space.shape))
    return with_adam(model, lambda: model(x).square().mean())


def linear_layers(world: World, width: int, count: int, **roles: Split) -> Callable[[], torch.Tensor]:
    """Return a step of some linear layers, each rank with samples of its own."""
    grid = Grid(world, p=world.size)
    layers = [DataParallel(nn.Linear(width, width), grid=grid, **roles) for _ in range(count)]
    model = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
    x = torch.ones((8, width))
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
