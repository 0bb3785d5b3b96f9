"""LeNet-5, trained across ranks on images of handwritten digits, beside the sequential network.

Run it on simulated ranks, or on MPI's::

    python examples/lenet5.py --ranks 4
    mpiexec -n 4 python examples/lenet5.py

The images are split over a 2 x 2 grid; convolution and pooling exchange halos. A repartition turns the split of space
into a split of features. The weights of the linear layers lie on the 2 x 2 grid as well; where one layer's outputs lie
along the rows of the grid, so do the next one's inputs. Every data movement is a linear operator, and its adjoint is
checked before training begins.
"""

from __future__ import annotations

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

from distdl_ops import At, DistributedSpace, Grid, Movement, Repartition, Split, World, balanced
from distdl_ops.worlds.agreement import agreed
from torch_bridge import Operator
from torch_bridge.nn import Conv2d, CrossEntropyLoss, Linear, MaxPool2d, gather_state, load_state


def sequential_lenet5() -> nn.Sequential:
    """Return LeNet-5 in one process: 61 706 parameters."""
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


def distributed_lenet5(grid: Grid, dtype: str) -> tuple[DistributedSpace, nn.Sequential, CrossEntropyLoss]:
    """Return the space of the images, LeNet-5 on a grid with the axes ``rows`` and ``cols``, and its loss. Collective.

    The layers have the names, and the weights the shapes, of the sequential network.
    """
    images = DistributedSpace(grid, (1, 28, 28), dtype, rows=Split(1), cols=Split(2))
    conv1 = Conv2d(1, 6, 5, padding=2, domain=images)
    pool1 = MaxPool2d(2, domain=conv1.codomain)
    conv2 = Conv2d(6, 16, 5, domain=pool1.codomain)
    pool2 = MaxPool2d(2, domain=conv2.codomain)
    channels = pool2.codomain.with_roles(rows=At(0), cols=Split(0))

    def features(count: int, along: str, split: Split | None = None) -> DistributedSpace:
        other = "rows" if along == "cols" else "cols"
        return DistributedSpace(grid, (count,), dtype, **{along: split or Split(0), other: At(0)})

    # A channel is 5 x 5 features: flattened, each rank has the features of its channels.
    intervals = balanced(16, grid.axes["cols"])
    flat = features(400, "cols", Split(0, [(25 * start, 25 * stop) for start, stop in intervals]))
    hidden1, hidden2, scores = features(120, "rows"), features(84, "cols"), features(10, "rows")
    layers = OrderedDict(
        conv1=conv1,
        relu1=nn.ReLU(),
        pool1=pool1,
        conv2=conv2,
        relu2=nn.ReLU(),
        pool2=pool2,
        repartition=Operator(Repartition(pool2.codomain, channels)),
        flatten=nn.Flatten(),
        linear1=Linear(400, 120, domain=flat, codomain=hidden1, out_axis="rows", in_axis="cols"),
        relu3=nn.ReLU(),
        linear2=Linear(120, 84, domain=hidden1, codomain=hidden2, out_axis="cols", in_axis="rows"),
        relu4=nn.ReLU(),
        linear3=Linear(84, 10, domain=hidden2, codomain=scores, out_axis="rows", in_axis="cols"),
    )
    return images, nn.Sequential(layers), CrossEntropyLoss(domain=scores)


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
    optimizer = torch.optim.Adam(network.modules.parameters(), lr=options.lr)
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


def prepare(world: World, options: Options) -> tuple[tuple[datasets.Digits, datasets.Digits], Grid]:
    """Return the data and the grid; raise a ValueError in one line, on every rank."""
    grid = Grid(world, rows=2, cols=2)
    if options.data == "mnist":
        on_rank_0(world, datasets.download)
    data = agreed(
        world,
        "data",
        lambda: datasets.load(options.data),
        describe=lambda parts: [(part.images.shape, int(part.images.sum()), int(part.labels.sum())) for part in parts],
    )
    return data, grid


def run(world: World, options: Options, prepared: tuple[tuple[datasets.Digits, datasets.Digits], Grid]) -> int:
    """Train on the ranks of a world, and return the exit status: 0 when everything is as it should be."""
    say = print if world.rank == 0 else lambda _: None
    data, grid = prepared
    torch.manual_seed(options.seed)
    begin = sequential_lenet5().to(getattr(torch, options.dtype))
    images, model, loss = distributed_lenet5(grid, options.dtype)
    load_state(model, begin.state_dict())
    count = sum(weights.numel() for weights in gather_state(model).values())
    say(f"LeNet-5 with {count} parameters on {grid!r}, {world.size} ranks, {options.dtype}, data: {options.data}\n")
    modules = nn.ModuleDict({"model": model, "loss": loss})
    problems = [] if training.check_adjoints(modules, say) else ["an adjoint is wrong"]
    say("")

    gather = Operator(Movement(loss.domain, loss.domain.everywhere()))
    network = Classifier(
        modules,
        lambda images_, labels: loss(model(images.from_global(images_)), labels),
        lambda images_: gather(model(images.from_global(images_))),
    )
    distributed = train(network, data, options, show="distributed" if world.rank == 0 else "")
    gather_state(model)  # raises where the replicas of a parameter have drifted apart
    if world.rank == 0:
        alone = Classifier(begin, lambda x, labels: nn.functional.cross_entropy(begin(x), labels), begin)
        sequential = train(alone, data, options, show="sequential")
        problems += compare(distributed, sequential, options)
        title = f"LeNet-5 on {Path(options.data).name}, 2 x 2 ranks, {options.dtype}"
        training.draw(distributed.losses, sequential.losses, options.picture, title)
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
