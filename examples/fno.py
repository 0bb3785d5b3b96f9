"""A Fourier neural operator, split in space, learns the flow of the viscous Burgers equation in two dimensions.

Run it on simulated ranks, or on MPI's::

    python examples/fno.py --ranks 4
    mpiexec -n 4 python examples/fno.py

The equation is u_t + u (u_x + u_y) = nu (u_xx + u_yy) on a periodic square. From random smooth fields it is solved with
a spectral method; the network learns the map from u at time 0 to u at the end. Fields are split over a grid, 2 x 2 by
default. A spectral convolution takes them to their low modes and back: an all-to-all brings each axis together, with
channels split in its place; the other layers act on each point by itself. These movements are linear operators, and
their adjoints are checked before training begins.
"""

from __future__ import annotations

import copy
import sys

import torch
import training
from torch import nn

from distdl_ops import Grid, Split, World
from torch_bridge import SpectralConv, distribute, distribute_tensor, explain


class FNO(nn.Module):
    """From a field to another one.

    Parameters
    ----------
    width : int
        Channels of the layers.
    modes : int
        Of the spectral convolutions, along each axis.
    layers : int
        How many there are: each the sum of a spectral convolution and a linear map of the channels of each point.
    """

    def __init__(self, width: int, modes: int, layers: int) -> None:
        super().__init__()
        self.lift = nn.Conv2d(1, width, 1)
        self.spectral = nn.ModuleList([SpectralConv(width, width, (modes, modes)) for _ in range(layers)])
        self.pointwise = nn.ModuleList([nn.Conv2d(width, width, 1) for _ in range(layers)])
        self.hidden, self.project = nn.Conv2d(width, 2 * width, 1), nn.Conv2d(2 * width, 1, 1)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Return the field at the end: from shape (batch, 1, n, n) to the same."""
        x = self.lift(u)
        for spectral, pointwise in zip(self.spectral, self.pointwise, strict=True):
            x = nn.functional.gelu(spectral(x) + pointwise(x))
        change = self.project(nn.functional.gelu(self.hidden(x)))
        later: torch.Tensor = u + change
        return later


class Options(training.Options):
    """What the command line says."""

    steps: int
    points: int
    samples: int
    width: int
    modes: int
    layers: int
    rows: int
    cols: int


# -- the equation ------------------------------------------------------------------------------------------------------


def random_fields(count: int, points: int, generator: torch.Generator) -> torch.Tensor:
    """Return smooth periodic fields of size one: white noise times (1 + |k|^2 / 4)^-2 in frequency."""
    noise = torch.randn(count, points, points, generator=generator, dtype=torch.float64)
    k = torch.fft.fftfreq(points, 1 / points, dtype=torch.float64)
    smooth = torch.fft.fft2(noise) * (1 + (k[:, None] ** 2 + k**2) / 4) ** -2
    fields = torch.fft.ifft2(smooth).real
    scaled: torch.Tensor = fields / fields.std((1, 2), keepdim=True)
    return scaled


def burgers(u: torch.Tensor, time: float = 0.5, nu: float = 0.05, steps: int = 100) -> torch.Tensor:
    """Return the solution after some time, of fields on a square of length 2 pi.

    In frequency, diffusion is solved exactly, by an integrating factor, and what is left is integrated by the classical
    Runge-Kutta method. The upper third of the frequencies is left out of products, so that none is taken for another.

    Source: L. N. Trefethen, *Spectral Methods in MATLAB*, SIAM 2000, chapter 10, which solves the Korteweg-de Vries
    equation in this way.

    Parameters
    ----------
    u : tensor of float64, shape (count, n, n)
        At time 0.
    """
    points = u.shape[-1]
    k = torch.fft.fftfreq(points, 1 / points, dtype=torch.float64)
    rows, cols = k[:, None], k
    kept = (rows.abs() < points / 3) & (cols.abs() < points / 3)
    advection = -0.5j * (rows + cols) * kept
    h = time / steps
    half = torch.exp(-nu * (rows**2 + cols**2) * h / 2)

    def rate(v: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = advection * torch.fft.fft2(torch.fft.ifft2(v).real ** 2)
        return found

    v = torch.fft.fft2(u) * kept
    for _ in range(steps):
        a = rate(v)
        b = rate(half * (v + h / 2 * a))
        c = rate(half * v + h / 2 * b)
        d = rate(half**2 * v + h * half * c)
        v = half**2 * v + h / 6 * (half**2 * a + 2 * half * (b + c) + d)
    later: torch.Tensor = torch.fft.ifft2(v).real
    return later


# -- training ----------------------------------------------------------------------------------------------------------


def samples(options: Options) -> tuple[training.Sample, training.Sample]:
    """Return fields and their solutions, to train on and, half as many, to test on: shapes (count, 1, n, n)."""
    generator = torch.Generator().manual_seed(options.seed)
    count = options.samples + -(-options.samples // 2)
    before = random_fields(count, options.points, generator)
    dtype = getattr(torch, options.dtype)
    inputs, targets = (u.unsqueeze(1).to(dtype) for u in (before, burgers(before)))
    train, test = slice(options.samples), slice(options.samples, None)
    return (inputs[train], targets[train]), (inputs[test], targets[test])


def batches(data: training.Sample, options: Options) -> list[training.Sample]:
    """Return, for each step, samples: all of them in a random order, again and again."""
    generator = torch.Generator().manual_seed(options.seed)
    order: list[torch.Tensor] = []
    while len(order) < options.steps:
        order += torch.randperm(len(data[0]), generator=generator).split(options.batch_size)
    return [(data[0][index], data[1][index]) for index in order[: options.steps]]


def prepare(world: World, options: Options) -> Grid:
    """Return the grid; raise a ValueError in one line where the options do not fit together."""
    if options.modes > options.points // 2:
        raise ValueError(f"--modes {options.modes}: expected at most half of --points {options.points}")
    return Grid(world, rows=options.rows, cols=options.cols)


def run(world: World, options: Options, grid: Grid) -> int:
    """Train on the ranks of a world, and return the exit status: 0 when everything is as it should be."""
    data, test = samples(options)
    torch.manual_seed(options.seed)
    alone = FNO(options.width, options.modes, options.layers).to(getattr(torch, options.dtype))
    if world.rank == 0:
        count = sum(weights.numel() for weights in alone.parameters())
        print(f"FNO with {count} parameters on {grid!r}, {world.size} ranks, {options.dtype}\n")
    model = distribute(copy.deepcopy(alone), grid)

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        before, after = (distribute_tensor(fields, grid, rows=Split(2), cols=Split(3)) for fields in (inputs, targets))
        return nn.functional.mse_loss(model(before), after)

    def outcome() -> str:
        with torch.no_grad():
            error = loss(*test).item() ** 0.5 / test[1].square().mean().sqrt()
        still = (test[0] - test[1]).square().mean().sqrt() / test[1].square().mean().sqrt()
        return f"error on {len(test[0])} other fields: {error:.1%}; if nothing happened, it would be {still:.1%}"

    sequential = training.Network(alone, lambda inputs, targets: nn.functional.mse_loss(alone(inputs), targets))
    steps = batches(data, options)
    title = f"FNO on Burgers' equation, {grid!r}, {options.dtype}"
    return training.train_both(
        world, training.Network(model, loss), sequential, steps, explain(loss, *steps[0]), options, title, outcome
    )


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    parser = training.Parser("fno", str(__doc__), batch_size=8, lr=3e-3)
    for name, default, text in (
        ("rows", 2, "ranks along the first axis of the grid (default: 2)"),
        ("cols", 2, "ranks along the second (default: 2)"),
        ("steps", 80, "of training"),
        ("points", 32, "of a field along each axis"),
        ("samples", 64, "fields to train on"),
        ("width", 12, "channels"),
        ("modes", 8, "of the spectral convolutions"),
        ("layers", 3, "of the network"),
    ):
        parser.add_argument(f"--{name}", type=training.at_least_one, default=default, help=text)
    return training.start(arguments, parser, Options(), prepare, run)


if __name__ == "__main__":
    sys.exit(main())
