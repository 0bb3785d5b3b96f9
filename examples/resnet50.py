"""torchvision's ResNet-50, unchanged, on images that are split over data and in space.

Run it on simulated ranks, or on MPI's::

    python examples/resnet50.py --ranks 4
    mpiexec -n 4 python examples/resnet50.py

Of the ranks, half share the images of a batch, and half the rows of each image. The network, its loss and its optimizer
are those of torchvision and torch. Statistics of batch normalisation are those of the whole batch, over data and space.
It is trained beside the sequential network, on random images: what counts is that both are the same.
"""

from __future__ import annotations

import copy
import sys

import torch
import training
from torch import nn

from distdl_ops import Grid, Split, World
from torch_bridge import distribute, distribute_tensor, explain


class Options(training.Options):
    """What the command line says."""

    steps: int
    extent: int
    network: str


def prepare(world: World, options: Options) -> tuple[Grid, nn.Module]:
    """Return the grid, and the network in one process."""
    try:
        from torchvision import models
    except ImportError as error:
        raise ValueError("torchvision is not installed: pip install torchvision") from error
    torch.manual_seed(options.seed)
    rows = 2 if world.size % 2 == 0 else 1
    network = models.get_model(options.network, weights=None, num_classes=10)
    return Grid(world, data=world.size // rows, rows=rows), network.to(getattr(torch, options.dtype))


def batches(options: Options) -> list[training.Sample]:
    """Return random images and labels. Which ones depends on the seed alone."""
    generator = torch.Generator().manual_seed(options.seed)
    shape = (options.batch_size, 3, options.extent, options.extent)
    dtype = getattr(torch, options.dtype)
    return [
        (
            torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype),
            torch.randint(10, shape[:1], generator=generator),
        )
        for _ in range(options.steps)
    ]


def run(world: World, options: Options, prepared: tuple[Grid, nn.Module]) -> int:
    """Train on the ranks of a world, and return the exit status: 0 when everything is as it should be."""
    say = print if world.rank == 0 else lambda _: None
    grid, alone = prepared
    model = distribute(copy.deepcopy(alone), grid)

    def loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        images = distribute_tensor(images, grid, data=Split(0), rows=Split(2))
        return nn.functional.cross_entropy(model(images), distribute_tensor(labels, grid, data=Split(0)))

    samples = batches(options)
    plan = explain(loss, *samples[0])
    moved = sum(step.function.endswith("conv2d") and bool(step.moved) for step in plan.steps)
    say(f"{options.network} of {sum(p.numel() for p in model.parameters())} parameters on {grid!r}, {options.dtype}")
    say(f"{len(plan.steps)} calls; {moved} convolutions exchange halos or sum gradients\n")
    model.load_state_dict(alone.state_dict())  # explaining took a step of the running statistics
    sequential = training.Network(alone, lambda x, labels: nn.functional.cross_entropy(alone(x), labels))
    title = f"{options.network} over data and space, {options.dtype}"
    return training.train_both(world, training.Network(model, loss), sequential, samples, plan, options, title)


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    parser = training.Parser("resnet50", str(__doc__), batch_size=6, lr=1e-4)
    parser.add_argument("--steps", type=training.at_least_one, default=5)
    parser.add_argument("--extent", type=training.at_least_one, default=64, help="rows and columns of an image")
    parser.add_argument("--network", choices=("resnet18", "resnet50"), default="resnet50", help="of torchvision")
    return training.start(arguments, parser, Options(), prepare, run)


if __name__ == "__main__":
    sys.exit(main())
