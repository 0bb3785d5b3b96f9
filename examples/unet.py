"""A U-Net that takes noise out of photographs, split in space over the ranks, beside the sequential network.

Run it on simulated ranks, or on MPI's::

    python examples/unet.py --ranks 4
    mpiexec -n 4 python examples/unet.py

The network is written for one process. `distribute` lays its weights out, and `distribute_tensor` the images:
convolutions exchange halos; poolings and upsamplings move what is on the wrong side of a border; what is concatenated
across lies alike on both sides, so nothing moves; normalisations sum a few numbers over the ranks. It learns on pieces
of one of the photographs that ship with scikit-learn, and is tested on the other one.
"""

from __future__ import annotations

import copy
import math
import sys

import torch
import training
from memory import Memory
from torch import nn

from distdl_ops import Grid, Split, World
from distdl_ops.worlds.agreement import agreed
from torch_bridge import distribute, distribute_tensor, explain

TESTED = 160
"""Extents of the part of the other photograph that the network is tested on, in pixels."""


class UNet(nn.Module):
    """Two levels down and up again; what it returns is the image without the noise that it has found.

    Parameters
    ----------
    width : int
        Channels on the first level, a multiple of 4; each one below has twice as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.down1, self.down2 = convolution(3, width), convolution(width, 2 * width)
        self.bottom = convolution(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.merge2 = convolution(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.merge1 = convolution(2 * width, width)
        self.noise = nn.Conv2d(width, 3, 1)
        nn.init.zeros_(self.noise.weight)  # it begins as the identity

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images of the same shape: (batch, 3, height, width), both extents multiples of 4."""
        first = self.down1(images)
        second = self.down2(self.pool(first))
        x = self.bottom(self.pool(second))
        x = self.merge2(torch.cat([second, self.up2(x)], dim=1))
        x = self.merge1(torch.cat([first, self.up1(x)], dim=1))
        found: torch.Tensor = images - self.noise(x)
        return found


def convolution(channels: int, out: int) -> nn.Sequential:
    """Return a convolution that keeps the extents of images, normalised."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, padding_mode="reflect"), nn.GroupNorm(4, out), nn.GELU()
    )


class Options(training.Options):
    """What the command line says."""

    steps: int
    size: int
    width: int
    noise: float


Photographs = tuple[torch.Tensor, torch.Tensor]
"""One to learn on and one to test on: uint8, of shape (3, height, width)."""


def prepare(world: World, options: Options) -> tuple[Grid, Photographs]:
    """Return the grid and the data; raise a ValueError in one line, on every rank."""
    photographs = agreed(world, "photographs", load, describe=lambda found: [int(image.sum()) for image in found])
    if options.width % 4:
        raise ValueError(f"--width {options.width}: expected a multiple of 4")
    if options.size % 4 or options.size > min(photographs[0].shape[1:]):
        raise ValueError(f"--size {options.size}: expected a multiple of 4, up to {min(photographs[0].shape[1:])}")
    rows = max(n for n in range(1, math.isqrt(world.size) + 1) if world.size % n == 0)
    return Grid(world, rows=rows, cols=world.size // rows), photographs


def load() -> Photographs:
    """Return scikit-learn's two photographs."""
    from sklearn.datasets import load_sample_images

    china, flower = (torch.from_numpy(image.copy()).movedim(-1, 0) for image in load_sample_images().images)
    return china, flower


def pieces(photograph: torch.Tensor, count: int, options: Options, seed: int) -> list[training.Sample]:
    """Return batches of pieces of a photograph, with noise and without. Which ones depends on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    dtype, size = getattr(torch, options.dtype), options.size
    below, beside = (n - size + 1 for n in photograph.shape[1:])
    found = []
    for _ in range(count):
        places = [
            [int(torch.randint(n, (), generator=generator)) for n in (below, beside)] for _ in range(options.batch_size)
        ]
        clean = torch.stack([photograph[:, i : i + size, j : j + size] for i, j in places]).to(dtype) / 255
        noise = torch.randn(clean.shape, dtype=dtype, generator=generator)
        found.append((clean + options.noise * noise, clean))
    return found


def middle(photograph: torch.Tensor, options: Options) -> training.Sample:
    """Return the middle of a photograph, with noise and without, as a batch of one."""
    dtype = getattr(torch, options.dtype)
    top, left = ((n - TESTED) // 2 for n in photograph.shape[1:])
    clean = photograph[None, :, top : top + TESTED, left : left + TESTED].to(dtype) / 255
    noise = torch.randn(clean.shape, dtype=dtype, generator=torch.Generator().manual_seed(options.seed + 1))
    return clean + options.noise * noise, clean


def peak(network: training.Network, sample: training.Sample) -> int:
    """Return the bytes that a training step needs at its peak, beside the weights and the optimizer's state."""
    network.model.zero_grad()
    memory = Memory()
    with memory:
        network.loss(*sample).backward()
    return memory.peak


def quality(images: torch.Tensor, clean: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio in decibels, of images with values from 0 to 1."""
    return -10 * math.log10(float(((images - clean) ** 2).mean()))


def run(world: World, options: Options, prepared: tuple[Grid, Photographs]) -> int:
    """Train on the ranks of a world, and return the exit status: 0 when everything is as it should be."""
    say = print if world.rank == 0 else lambda _: None
    grid, (china, flower) = prepared
    torch.manual_seed(options.seed)
    alone = UNet(options.width).to(getattr(torch, options.dtype))
    model = distribute(copy.deepcopy(alone), grid)

    def split(images: torch.Tensor) -> torch.Tensor:
        return distribute_tensor(images, grid, rows=Split(2), cols=Split(3))

    def loss(noisy: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(model(split(noisy)), split(clean))

    batches = pieces(china, options.steps, options, options.seed)
    plan = explain(loss, *batches[0])
    say(f"U-Net with {sum(p.numel() for p in model.parameters())} parameters on {grid!r}, {options.dtype}\n\n{plan}\n")
    problems = [] if training.check_adjoints(plan, say) else ["an adjoint is wrong"]
    say("")

    network = training.Network(model, loss)
    history = training.train(network, batches, options, show="distributed" if world.rank == 0 else "")
    noisy, clean = middle(flower, options)
    with torch.no_grad():
        denoised = model(split(noisy)).full_tensor().to_local()
    peaks = world.allgather(peak(network, batches[-1]), "peak")
    if world.rank == 0:
        sequential = training.Network(alone, lambda noisy, clean: nn.functional.mse_loss(alone(noisy), clean))
        expected = training.train(sequential, batches, options, show="sequential")
        problems += training.compare(history.losses, expected.losses, options.dtype)
        before, after = quality(noisy, clean), quality(denoised, clean)
        with torch.no_grad():
            by_one = quality(alone(noisy), clean)
        print(f"distributed  {after:.2f} dB on the other photograph, {history.seconds:.1f} s")
        print(f"sequential   {by_one:.2f} dB, {expected.seconds:.1f} s; with its noise it has {before:.2f} dB")
        needed = [max(peaks) / 1e6, peak(sequential, batches[-1]) / 1e6]
        print(f"peak of a step: {needed[0]:.2f} MB on a rank, {needed[1]:.2f} MB sequential")
        if world.size > 1 and not needed[0] < needed[1]:
            problems.append("a rank needs no less memory")
        if not abs(after - by_one) <= 0.1:
            problems.append("the two networks differ by more than 0.1 dB")
        draw([history.losses, expected.losses], [noisy[0], denoised[0], clean[0]], [before, after], options)
    return training.verdict(world, problems)


def draw(losses: list[list[float]], images: list[torch.Tensor], decibels: list[float], options: Options) -> None:
    """Save a picture of the losses, and of a piece of the test photograph before and after."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    places = figure.add_gridspec(2, 3)
    axes = figure.add_subplot(places[0, :])
    axes.plot(losses[1], color="tab:orange", linewidth=3, alpha=0.6, label="sequential")
    axes.plot(losses[0], color="tab:blue", linewidth=1, label="distributed")
    axes.set(yscale="log", xlabel="step", ylabel="mean squared error", title=f"U-Net, {options.dtype}")
    axes.legend()
    titles = [f"with noise, {decibels[0]:.1f} dB", f"without, {decibels[1]:.1f} dB", "as it was"]
    for k, (image, title) in enumerate(zip(images, titles, strict=True)):
        below = figure.add_subplot(places[1, k])
        below.imshow(image.movedim(0, -1).clamp(0, 1).to(torch.float32).numpy())
        below.set_title(title)
        below.set_axis_off()
    figure.savefig(options.picture, dpi=150)
    print(f"losses and images: {options.picture}")


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    parser = training.Parser("unet", str(__doc__), batch_size=4, lr=5e-3)
    parser.add_argument("--steps", type=training.at_least_one, default=100)
    parser.add_argument("--size", type=training.at_least_one, default=48, help="of a piece, in pixels")
    parser.add_argument("--width", type=training.at_least_one, default=8, help="channels on the first level")
    parser.add_argument("--noise", type=training.positive, default=0.2, help="its standard deviation; white is 1")
    return training.start(arguments, parser, Options(), prepare, run)


if __name__ == "__main__":
    sys.exit(main())
