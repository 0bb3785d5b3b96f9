"""Fully sharded training of a perceptron: what each rank stores, and its peak, as ranks are added.

Run it on simulated ranks, or on MPI's::

    python examples/sharded.py --ranks 4
    mpiexec -n 4 python examples/sharded.py

The network and the optimizer are torch's own. Each rank has samples of its own, and a part of the weights, of their
gradients and of Adam's state. Where a layer is applied, its weight is `Split -> Copies`: an all-gather, whose adjoint,
a reduce-scatter, sums the gradients. What was gathered is given up at once, and gathered once more in the backward
pass, so that no rank ever has more than one whole weight and its gradient. The training is that of the sequential
network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import training
from memory import Memory
from torch import nn

from distdl_ops import Grid, Split, World
from distdl_ops.worlds.agreement import agreed
from torch_bridge import DistributedTensor, distribute, distribute_tensor


class Perceptron(nn.Module):
    """Linear layers, with an activation between them.

    Parameters
    ----------
    widths : list of int
        Features before and after each layer.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(before, after) for before, after in pairwise(widths)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last features: from shape (batch, widths[0]) to (batch, widths[-1])."""
        for layer in self.layers[:-1]:
            x = nn.functional.gelu(layer(x))
        last: torch.Tensor = self.layers[-1](x)
        return last


@dataclass
class Found:
    """What a training gave: its losses, and in bytes what was stored after it, and the peak."""

    losses: list[float]
    stored: int
    peak: int


class Options(training.Options):
    """What the command line says."""

    steps: int
    width: int
    depth: int


Data = tuple[torch.Tensor, torch.Tensor]


def prepare(world: World, options: Options) -> Data:
    """Return the images of scikit-learn's digits, and the digits."""
    from sklearn.datasets import load_digits

    def load() -> Data:
        found = load_digits()
        pixels = torch.from_numpy(found.data).to(getattr(torch, options.dtype)) / 16
        return pixels, torch.from_numpy(found.target).to(torch.int64)

    return agreed(world, "digits", load, describe=lambda data: [float(part.sum()) for part in data])


def train(
    make: Callable[[], nn.Module],
    loss: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor],
    data: Data,
    options: Options,
    *,
    show: str,
) -> Found:
    """Train a model with Adam, and count its memory. Which samples make up a batch depends on the seed alone."""
    generator = torch.Generator().manual_seed(options.seed)
    torch.manual_seed(options.seed)
    losses = []
    with Memory() as memory, training.progress(show, options.steps) as bar:
        model = make()
        memory.peak = memory.now  # before, the whole model was there, from which the shards are taken
        optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
        for _ in range(options.steps):
            index = torch.randint(len(data[1]), (options.batch_size,), generator=generator)
            optimizer.zero_grad()
            value = loss(model, data[0][index], data[1][index])
            value.backward()
            optimizer.step()
            losses.append(value.item())
            bar.update()
        parameters = list(model.parameters())
        tensors = [*parameters, *(p.grad for p in parameters if p.grad is not None)]
        tensors += [v for kept in optimizer.state.values() for v in kept.values() if v.ndim]
        parts = [tensor.to_local() if isinstance(tensor, DistributedTensor) else tensor for tensor in tensors]
        return Found(losses, sum(part.nbytes for part in parts), memory.peak)


def sharded(world: World, data: Data, options: Options) -> list[Found]:
    """Train with sharded weights on the ranks of a world, and return what each of them found, on every one."""
    grid = Grid(world, p=world.size)

    def make() -> nn.Module:
        return distribute(perceptron(options), grid, {"*": {"p": Split(0)}})

    def loss(model: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x, labels = (distribute_tensor(tensor, grid, p=Split(0)) for tensor in (x, labels))
        return nn.functional.cross_entropy(model(x), labels)

    show = f"{world.size} ranks" if world.rank == 0 else ""
    return list(world.allgather(train(make, loss, data, options, show=show), "what was found"))


def perceptron(options: Options) -> Perceptron:
    """Return the sequential network."""
    widths = [64, *[options.width] * options.depth, 10]
    return Perceptron(widths).to(getattr(torch, options.dtype))


def run(world: World, options: Options, data: Data) -> int:
    """Train on 1, 2, 4, ... of the ranks, and return the exit status: 0 when everything is as it should be."""
    counts = [n for n in (1, 2, 4, 8, 16) if n <= world.size]
    found: dict[int, list[Found]] = {}
    for n in counts:
        some = world.sub(range(n))
        if some is not None:  # the others have nothing to do
            found[n] = sharded(some, data, options)
    problems = []
    if world.rank == 0:
        alone = train(
            lambda: perceptron(options),
            lambda model, x, labels: nn.functional.cross_entropy(model(x), labels),
            data,
            options,
            show="sequential",
        )
        print(f"\n{sum(p.numel() for p in perceptron(options).parameters())} parameters, {options.dtype}\n")
        print(f"{'ranks':>10}  {'weights, gradients, Adam':>26}  {'peak':>10}   of a rank, in MB, the largest")
        print(f"{'sequential':>10}  {alone.stored / 1e6:>26.2f}  {alone.peak / 1e6:>10.2f}")
        for n, ranks in found.items():
            stored, peak = max(f.stored for f in ranks), max(f.peak for f in ranks)
            print(f"{n:>10}  {stored / 1e6:>26.2f}  {peak / 1e6:>10.2f}")
        for ranks in found.values():
            problems += training.compare(ranks[0].losses, alone.losses, options.dtype)
            if sum(f.stored for f in ranks) != alone.stored:
                problems.append(
                    f"{len(ranks)} ranks store {sum(f.stored for f in ranks)} bytes, one alone {alone.stored}"
                )
        peaks = [max(f.peak for f in found[n]) for n in counts]
        if peaks != sorted(peaks, reverse=True):
            problems.append("the peak does not fall as ranks are added")
        draw(alone, found, options)
    return training.verdict(world, problems)


def draw(alone: Found, found: dict[int, list[Found]], options: Options) -> None:
    """Save a picture of the losses, and of the memory of a rank."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(alone.losses, color="tab:orange", linewidth=3, alpha=0.6, label="sequential")
    left.plot(found[max(found)][0].losses, color="tab:blue", linewidth=1, label=f"{max(found)} ranks")
    left.set(xlabel="step", ylabel="training loss", title=f"Sharded training, {options.dtype}")
    left.legend()
    names = ["sequential", *(f"{n} ranks" if n > 1 else "1 rank" for n in found)]
    every = [[alone], *found.values()]
    right.bar(names, [max(f.peak for f in ranks) / 1e6 for ranks in every], color="tab:blue", alpha=0.4, label="peak")
    stored = [max(f.stored for f in ranks) / 1e6 for ranks in every]
    right.bar(names, stored, color="tab:blue", label="weights, gradients, Adam")
    right.set(ylabel="MB of a rank")
    right.legend()
    figure.savefig(options.picture, dpi=150)
    print(f"losses and memory: {options.picture}")


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    parser = training.Parser("sharded", str(__doc__), batch_size=64, lr=1e-3)
    parser.add_argument("--steps", type=training.at_least_one, default=30)
    parser.add_argument("--width", type=training.at_least_one, default=512, help="of the hidden layers")
    parser.add_argument("--depth", type=training.at_least_one, default=6, help="how many hidden layers")
    return training.start(arguments, parser, Options(), prepare, run)


if __name__ == "__main__":
    sys.exit(main())
