"""LeNet-5, trained across ranks on images of handwritten digits, beside the sequential network.

Run it on simulated ranks, or on MPI's::

    python examples/lenet5.py --ranks 4
    mpiexec -n 4 python examples/lenet5.py

The network is torch's own, unchanged; its layout is that of Hewett and Grady (arXiv 2006.03108). The images are split
over a 2 x 2 grid; convolution and pooling exchange halos. Then the split of space becomes one of features. The weights
of the linear layers lie on the 2 x 2 grid as well; where one layer's outputs lie along the rows of the grid, so do the
next one's inputs. Every data movement is a linear operator, and its adjoint is checked before training begins.
"""

from __future__ import annotations

import copy
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import datasets
import torch
import training
from torch import nn

from distdl_ops import Grid, Replicated, Split, World
from distdl_ops.worlds.agreement import agreed
from torch_bridge import DistributedTensor, distribute, distribute_tensor, explain


def lenet5() -> nn.Sequential:
    """Return LeNet-5: 61 706 parameters."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            linear1=nn.Linear(400, 120),
            relu3=nn.ReLU(),
            linear2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            linear3=nn.Linear(84, 10),
        )
    )


OUT_ROWS_IN_COLS = {"weight": {"rows": Split(0), "cols": Split(1)}, "bias": {"rows": Split(0)}}
OUT_COLS_IN_ROWS = {"weight": {"cols": Split(0), "rows": Split(1)}, "bias": {"cols": Split(0)}}
LINEAR = {"linear1": OUT_ROWS_IN_COLS, "linear2": OUT_COLS_IN_ROWS, "linear3": OUT_ROWS_IN_COLS}
"""How the weights of the linear layers lie on the grid: outputs along one axis, inputs along the other."""


def distributed(model: nn.Sequential, grid: Grid) -> nn.Sequential:
    """Lay LeNet-5 out on a grid with the axes ``rows`` and ``cols``. Collective; the model is changed."""
    weights = {f"{layer}.{name}": roles for layer, names in LINEAR.items() for name, roles in names.items()}
    distribute(model, grid, weights)

    def by_channels(_: nn.Module, images: tuple[DistributedTensor]) -> DistributedTensor:
        return images[0].redistribute(rows=Replicated(), cols=Split(1))

    model.get_submodule("flatten").register_forward_pre_hook(by_channels)
    return model


@dataclass
class Classifier(training.Network):
    """A network that tells digits, in training.

    Attributes
    ----------
    scores : callable
        From a whole batch of images to the scores of all classes, on every rank.
    """

    scores: Callable[[torch.Tensor], torch.Tensor]


@dataclass
class History(training.History):
    """What training gave: beside the losses, the predictions for the test set after the last epoch."""

    predictions: torch.Tensor
    accuracy: float


class Options(training.Options):
    """What the command line says."""

    data: str
    epochs: int


def train(
    network: Classifier, data: tuple[datasets.Digits, datasets.Digits], options: Options, *, show: str
) -> History:
    """Train a network with Adam. Which images make up a batch depends on the seed alone.

    Parameters
    ----------
    show : str
        The name beside the progress bar; nothing is shown where it is empty.
    """
    digits, test = data
    dtype = getattr(torch, options.dtype)
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.Adam(network.model.parameters(), lr=options.lr)
    losses: list[float] = []
    start = time.perf_counter()
    steps = -(-len(digits.labels) // options.batch_size)
    with training.progress(show, options.epochs * steps) as bar:
        for epoch in range(options.epochs):
            order = torch.randperm(len(digits.labels), generator=generator).split(options.batch_size)
            losses += training.fit(network, optimizer, (digits.batch(index, dtype) for index in order), bar)
            predictions = predict(network, test, dtype)
            accuracy = (predictions == test.labels).double().mean().item()
            if show:
                mean = sum(losses[-steps:]) / steps
                bar.write(f"{show:<12} epoch {epoch + 1:>2}   loss {mean:.4f}   test accuracy {accuracy:.2%}")
    return History(losses, time.perf_counter() - start, predictions, accuracy)


def predict(network: Classifier, digits: datasets.Digits, dtype: torch.dtype, size: int = 1000) -> torch.Tensor:
    """Return the digit that the network sees in each image, on every rank."""
    found = []
    with torch.no_grad():
        for first in range(0, len(digits.labels), size):
            images, _ = digits.batch(slice(first, first + size), dtype)
            found.append(network.scores(images).argmax(dim=1))
    return torch.cat(found)


Data = tuple[datasets.Digits, datasets.Digits]


def prepare(world: World, options: Options) -> tuple[Data, Grid | None]:
    """Return the data and the grid, None on ranks beyond it; raise a ValueError in one line, on every rank."""
    used = len(Grid(world, rows=2, cols=2).places)
    if options.data == "mnist":
        on_rank_0(world, datasets.download)
    data = agreed(
        world,
        "data",
        lambda: datasets.load(options.data),
        describe=lambda parts: [(part.images.shape, int(part.images.sum()), int(part.labels.sum())) for part in parts],
    )
    some = world.sub(range(used))
    return data, None if some is None else Grid(some, rows=2, cols=2)


def run(world: World, options: Options, prepared: tuple[Data, Grid | None]) -> int:
    """Train on the ranks of a world, and return the exit status: 0 when everything is as it should be."""
    say = print if world.rank == 0 else lambda _: None
    data, grid = prepared
    if grid is None:
        return training.verdict(world, [])  # this rank has nothing to do
    torch.manual_seed(options.seed)
    alone = lenet5().to(getattr(torch, options.dtype))
    model = distributed(copy.deepcopy(alone), grid)

    def scores(images: torch.Tensor) -> DistributedTensor:
        result: DistributedTensor = model(distribute_tensor(images, grid, rows=Split(2), cols=Split(3)))
        return result

    def loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(scores(images), labels)

    count = sum(weight.numel() for weight in model.parameters())
    say(f"LeNet-5 with {count} parameters on {grid!r}, {world.size} ranks, {options.dtype}, data: {options.data}\n")
    first = data[0].batch(slice(0, 2), getattr(torch, options.dtype))
    problems = [] if training.check_adjoints(explain(loss, *first), say) else ["an adjoint is wrong"]
    say("")

    network = Classifier(model, loss, lambda images: scores(images).full_tensor().to_local())
    history = train(network, data, options, show="distributed" if world.rank == 0 else "")
    state = model.state_dict()
    if world.rank == 0:
        other = Classifier(alone, lambda x, labels: nn.functional.cross_entropy(alone(x), labels), alone)
        sequential = train(other, data, options, show="sequential")
        problems += compare(history, sequential, options)
        print(f"weights differ by {training.largest_difference(state, alone.state_dict()):.1e} at most")
        title = f"LeNet-5 on {Path(options.data).name}, 2 x 2 ranks, {options.dtype}"
        training.draw(history.losses, sequential.losses, options.picture, title)
    return training.verdict(world, problems)


def on_rank_0(world: World, action: Callable[[], None]) -> None:
    """Do something once for all ranks; when it raises a ValueError, all of them do."""
    told = None
    if world.rank == 0:
        try:
            action()
        except ValueError as error:
            told = str(error)
    (told, *_) = world.allgather(told, "rank 0")
    if told is not None:
        raise ValueError(told)


def compare(distributed: History, sequential: History, options: Options) -> list[str]:
    """Print how far the two networks differ, and return what should not be."""
    problems = training.compare(distributed.losses, sequential.losses, options.dtype)
    same = int((distributed.predictions == sequential.predictions).sum())
    print(f"predictions agree on {same} of {len(sequential.predictions)} test images")
    for name, history in (("distributed", distributed), ("sequential", sequential)):
        print(f"{name:<12} test accuracy {history.accuracy:.2%}, {history.seconds:.1f} s")
    if not abs(distributed.accuracy - sequential.accuracy) <= 0.002:
        problems.append("the accuracies differ by more than 0.2 points")
    return problems


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    parser = training.Parser("lenet5", str(__doc__), batch_size=64, lr=1e-3)
    parser.add_argument("--data", default="digits", help="digits, mnist, or a folder with MNIST's IDX files")
    parser.add_argument("--epochs", type=training.at_least_one, default=10)
    return training.start(arguments, parser, Options(), prepare, run)


if __name__ == "__main__":
    sys.exit(main())
