"""A residual network with batch normalisation that tells handwritten digits, split in space over the ranks.

Run it on simulated ranks, or on MPI's::

    python examples/resnet.py --ranks 4
    mpiexec -n 4 python examples/resnet.py

The network is written for one process. `distribute` lays its weights out, and `distribute_tensor` the images:
convolutions exchange halos, the statistics of batch normalisation are summed over all parts of the images, and what is
added by a shortcut lies where the block's result does. It is trained beside the sequential network.
"""

from __future__ import annotations

import copy
import math
import sys

import datasets
import torch
import training
from torch import nn

from distdl_ops import Grid, Split, World
from distdl_ops.worlds.agreement import agreed
from torch_bridge import distribute, distribute_tensor, explain


class Block(nn.Module):
    """Two convolutions, and a shortcut across, that has a convolution of its own where the shape changes.

    Parameters
    ----------
    channels, out : int
        Of the images before and after.
    stride : int
        By what their extents are divided.
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return images of shape (batch, out, height / stride, width / stride)."""
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def resnet(width: int) -> nn.Sequential:
    """Return a residual network with three blocks, of which two halve the extents of images."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        Block(width, width, 1),
        Block(width, 2 * width, 2),
        Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, 10),
    )


class Options(training.Options):
    """What the command line says."""

    steps: int
    width: int


Data = tuple[datasets.Digits, datasets.Digits]


def prepare(world: World, options: Options) -> tuple[Grid, Data]:  # noqa: ARG001
    """Return the grid, and the digits to train on and to test on."""
    data = agreed(
        world,
        "digits",
        lambda: datasets.load("digits"),
        describe=lambda parts: [(int(part.images.sum()), int(part.labels.sum())) for part in parts],
    )
    rows = max(n for n in range(1, math.isqrt(world.size) + 1) if world.size % n == 0)
    return Grid(world, rows=rows, cols=world.size // rows), data


def batches(digits: datasets.Digits, options: Options) -> list[training.Sample]:
    """Return batches of images and labels. Which ones depends on the seed alone."""
    generator, found = torch.Generator().manual_seed(options.seed), []
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(options.steps):
        if len(order) < options.batch_size:
            order = torch.randperm(len(digits.labels), generator=generator)
        index, order = order[: options.batch_size], order[options.batch_size :]
        found.append(digits.batch(index, getattr(torch, options.dtype)))
    return found


def run(world: World, options: Options, prepared: tuple[Grid, Data]) -> int:
    """Train on the ranks of a world, and return the exit status: 0 when everything is as it should be."""
    say = print if world.rank == 0 else lambda _: None
    grid, (digits, test) = prepared
    torch.manual_seed(options.seed)
    alone = resnet(options.width).to(getattr(torch, options.dtype))
    model = distribute(copy.deepcopy(alone), grid)

    def scores(images: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = model(distribute_tensor(images, grid, rows=Split(2), cols=Split(3)))
        return result

    def loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(scores(images), labels)

    def outcome() -> str:
        images, labels = test.batch(slice(None), getattr(torch, options.dtype))
        model.eval()
        with torch.no_grad():
            right = (scores(images).argmax(dim=1) == labels).double().mean().item()
        return f"distributed  test accuracy {right:.2%}"

    samples = batches(digits, options)
    plan = explain(loss, *samples[0])
    say(
        f"Residual network of {sum(p.numel() for p in model.parameters())} parameters on {grid!r}, {options.dtype}\n\n"
        f"{plan}\n"
    )
    model.load_state_dict(alone.state_dict())  # explaining took a step of the running statistics
    sequential = training.Network(alone, lambda x, labels: nn.functional.cross_entropy(alone(x), labels))
    title = f"Residual network, {options.dtype}"
    return training.train_both(world, training.Network(model, loss), sequential, samples, plan, options, title, outcome)


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    parser = training.Parser("resnet", str(__doc__), batch_size=32, lr=2e-3)
    parser.add_argument("--steps", type=training.at_least_one, default=120)
    parser.add_argument("--width", type=training.at_least_one, default=8, help="channels of the first block")
    return training.start(arguments, parser, Options(), prepare, run)


if __name__ == "__main__":
    sys.exit(main())
