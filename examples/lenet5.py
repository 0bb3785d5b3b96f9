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

import argparse
import math
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import datasets
import torch
from torch import nn
from tqdm import tqdm

from distdl_ops import At, DistributedSpace, Grid, Movement, Repartition, Split, World, balanced, simulate, world
from distdl_ops.worlds.agreement import agreed
from distdl_ops.worlds.start import under_mpi
from distdl_ops.worlds.threads import MOST_RANKS
from linop import check_adjoint
from torch_bridge import Operator
from torch_bridge.nn import Conv2d, CrossEntropyLoss, Linear, MaxPool2d, gather_state, load_state, movements

TOLERANCE = {"float64": 1e-10, "float32": 1e-3}
"""How far the losses of the first steps may differ from the sequential ones, relative. In exact arithmetic they are the
same; the order of summation differs, and training multiplies the roundings with every step."""

FIRST_STEPS = 20
"""How many steps these are."""


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
class Network:
    """A network in training, distributed or not.

    Attributes
    ----------
    model : module
        From this rank's part of the images to this rank's part of the scores.
    loss : callable
        From these scores and all labels to the mean loss.
    lay_out : callable
        From a whole batch of images to this rank's part.
    gather : callable
        From this rank's part of the scores to all of them.
    """

    model: nn.Module
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    lay_out: Callable[[torch.Tensor], torch.Tensor]
    gather: Callable[[torch.Tensor], torch.Tensor]


@dataclass
class History:
    """What training gave: the loss of every step, and the predictions for the test set after the last epoch."""

    losses: list[float]
    predictions: torch.Tensor
    accuracy: float
    seconds: float


def train(network: Network, data: tuple[datasets.Digits, datasets.Digits], options: Options, *, show: str) -> History:
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
    pause = 0.5 if sys.stderr.isatty() else 15.0  # seconds; a log need not keep every step
    start = time.perf_counter()
    steps = -(-len(digits.labels) // options.batch_size)
    with tqdm(total=options.epochs * steps, desc=show, disable=not show, unit="step", mininterval=pause) as bar:
        for epoch in range(options.epochs):
            for index in torch.randperm(len(digits.labels), generator=generator).split(options.batch_size):
                images, labels = digits.batch(index, dtype)
                optimizer.zero_grad()
                loss = network.loss(network.model(network.lay_out(images)), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                bar.update()
            predictions = predict(network, test, dtype)
            accuracy = (predictions == test.labels).double().mean().item()
            if show:
                mean = sum(losses[-steps:]) / steps
                bar.write(f"{show:<12} epoch {epoch + 1:>2}   loss {mean:.4f}   test accuracy {accuracy:.2%}")
    return History(losses, predictions, accuracy, time.perf_counter() - start)


def predict(network: Network, digits: datasets.Digits, dtype: torch.dtype, size: int = 1000) -> torch.Tensor:
    """Return the digit that the network sees in each image, on every rank."""
    found = []
    with torch.no_grad():
        for first in range(0, len(digits.labels), size):
            images, _ = digits.batch(slice(first, first + size), dtype)
            found.append(network.gather(network.model(network.lay_out(images))).argmax(dim=1))
    return torch.cat(found)


def check_movements(modules: nn.ModuleDict, say: Callable[[str], None]) -> bool:
    """Check the adjoint of every movement in the network, and print them as a table. Collective."""
    passed = True
    say(f"{'movement':<28} {'name':<44} {'adjoint':<16} spaces")
    for where, operator in movements(modules).items():
        report = check_adjoint(operator)
        passed = passed and report.passed and not report.vacuous
        verdict = f"{'passed' if report else 'FAILED'} ({report.mode})"
        say(f"{where:<28} {operator!s:<44} {verdict:<16} {operator.domain.layout} -> {operator.codomain.layout}")
        if not report:
            say(str(report))
    return passed


def run(world: World, options: Options) -> int:
    """Train on the ranks of a world, and return the exit status: 0 when everything is as it should be."""
    say = print if world.rank == 0 else lambda _: None
    torch.set_num_threads(1)
    try:
        data, grid = prepare(world, options)
    except ValueError as error:
        if world.rank == 0:
            print(f"lenet5: error: {error}", file=sys.stderr)
        return 2

    torch.manual_seed(options.seed)
    begin = sequential_lenet5().to(getattr(torch, options.dtype))
    images, model, loss = distributed_lenet5(grid, options.dtype)
    load_state(model, begin.state_dict())
    count = sum(weights.numel() for weights in gather_state(model).values())
    say(f"LeNet-5 with {count} parameters on {grid!r}, {world.size} ranks, {options.dtype}, data: {options.data}\n")
    problems = []
    if not check_movements(nn.ModuleDict({"model": model, "loss": loss}), say):
        problems.append("an adjoint is wrong")
    say("")

    gather = Operator(Movement(loss.domain, loss.domain.everywhere()))
    network = Network(model, loss, images.from_global, gather)
    distributed = train(network, data, options, show="distributed" if world.rank == 0 else "")
    gather_state(model)  # raises where the replicas of a parameter have drifted apart
    if world.rank == 0:
        alone = Network(begin, nn.functional.cross_entropy, lambda x: x, lambda scores: scores)
        sequential = train(alone, data, options, show="sequential")
        problems += compare(distributed, sequential, options)
        draw(distributed, sequential, options)
        print("all checks passed" if not problems else "FAILED: " + "; ".join(problems))
    (problems, *_) = world.allgather(problems, "the verdict")  # rank 0 knows
    return 1 if problems else 0


def prepare(world: World, options: Options) -> tuple[tuple[datasets.Digits, datasets.Digits], Grid]:
    """Return the data and the grid. Raises a ValueError in one line, on every rank."""
    if options.ranks not in (None, world.size):
        raise ValueError(f"--ranks {options.ranks}: mpiexec started {world.size}")
    grid = Grid(world, rows=2, cols=2)
    picture = Path(options.picture)
    if not picture.absolute().parent.is_dir() or picture.is_dir():
        raise ValueError(f"--picture {picture}: expected a file in a folder that exists")
    if picture.suffix not in (".png", ".pdf", ".svg"):
        raise ValueError(f"--picture {picture}: expected a name that ends in .png, .pdf or .svg")
    if options.data == "mnist":
        on_rank_0(world, datasets.download)
    data = agreed(
        world,
        "data",
        lambda: datasets.load(options.data),
        describe=lambda parts: [(part.images.shape, int(part.images.sum()), int(part.labels.sum())) for part in parts],
    )
    return data, grid


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
    differences = [abs(d - s) / abs(s) for d, s in zip(distributed.losses, sequential.losses, strict=True)]
    first, worst = (float(torch.tensor(d).max()) for d in (differences[:FIRST_STEPS], differences))  # keeps NaN
    same = int((distributed.predictions == sequential.predictions).sum())
    print(f"\nlosses differ by {first:.1e} in the first {FIRST_STEPS} steps, by {worst:.1e} at most (relative)")
    print(f"predictions agree on {same} of {len(sequential.predictions)} test images")
    for name, history in (("distributed", distributed), ("sequential", sequential)):
        print(f"{name:<12} test accuracy {history.accuracy:.2%}, {history.seconds:.1f} s")
    problems = []
    if not first <= TOLERANCE[options.dtype]:
        problems.append(f"the losses differ by more than {TOLERANCE[options.dtype]:.0e} in the first steps")
    if not all(math.isfinite(loss) for loss in distributed.losses + sequential.losses):
        problems.append("a loss is not finite")
    if not abs(distributed.accuracy - sequential.accuracy) <= 0.002:
        problems.append("the accuracies differ by more than 0.2 points")
    return problems


def draw(distributed: History, sequential: History, options: Options) -> None:
    """Save a picture of both loss curves, and of how far they are apart."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    above.plot(sequential.losses, color="tab:orange", linewidth=3, alpha=0.6, label="sequential")
    above.plot(distributed.losses, color="tab:blue", linewidth=1, label="distributed, 2 x 2 ranks")
    scale = "log" if all(0 < loss < math.inf for loss in distributed.losses + sequential.losses) else "linear"
    above.set(yscale=scale, ylabel="training loss", title=f"LeNet-5 on {Path(options.data).name}, {options.dtype}")
    above.legend()
    differences = [abs(d - s) / abs(s) for d, s in zip(distributed.losses, sequential.losses, strict=True)]
    below.plot(differences, color="black", linewidth=1)
    below.set(yscale=scale, xlabel="step", ylabel="relative difference")
    figure.savefig(options.picture, dpi=150)
    print(f"loss curves: {options.picture}")


class Options(argparse.Namespace):
    """What the command line says."""

    ranks: int | None
    data: str
    epochs: int
    batch_size: int
    lr: float
    seed: int
    dtype: str
    picture: str


class Parser(argparse.ArgumentParser):
    """A parser whose errors are raised, so that one rank can tell them for all."""

    def error(self, message: str) -> NoReturn:
        """Raise the error."""
        raise ValueError(message)


def parse(arguments: list[str] | None) -> Options:
    """Return the options on the command line."""

    def at_least_one(text: str) -> int:
        if int(text) < 1:
            raise ValueError
        return int(text)

    def positive(text: str) -> float:
        if not 0 < float(text) < float("inf"):
            raise ValueError
        return float(text)

    def seed(text: str) -> int:
        if not 0 <= int(text) < 2**63:
            raise ValueError
        return int(text)

    at_least_one.__name__, positive.__name__ = "positive whole number", "positive number"
    parser = Parser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--ranks", type=at_least_one, help="simulated ranks (default: 4); under mpiexec, its ranks")
    parser.add_argument("--data", default="digits", help="digits, mnist, or a folder with MNIST's IDX files")
    parser.add_argument("--epochs", type=at_least_one, default=10)
    parser.add_argument("--batch-size", type=at_least_one, default=64)
    parser.add_argument("--lr", type=positive, default=1e-3, help="learning rate of Adam")
    parser.add_argument("--seed", type=seed, default=0, help="of the weights and of the order of images")
    parser.add_argument("--dtype", choices=sorted(TOLERANCE), default="float64")
    parser.add_argument("--picture", default="lenet5.png", help="where the loss curves are saved")
    return parser.parse_args(arguments, namespace=Options())


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    try:
        options = parse(arguments)
    except ValueError as error:
        if not under_mpi() or world().rank == 0:
            print(f"lenet5: error: {error}", file=sys.stderr)
        return 2
    if under_mpi():
        return run(world(), options)
    options.ranks = options.ranks or 4
    if options.ranks > MOST_RANKS:
        print(f"lenet5: error: --ranks {options.ranks}: at most {MOST_RANKS} are simulated", file=sys.stderr)
        return 2
    return max(simulate(options.ranks, lambda world: run(world, options)))


if __name__ == "__main__":
    sys.exit(main())
