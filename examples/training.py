"""What the examples share: a network in training beside the sequential one, how far they are apart, the command line.

Which samples make up a batch, and the weights to begin with, depend on the seed alone. So in exact arithmetic both
networks have the same losses; only the order of summation differs, and training multiplies the roundings with every
step.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from torch import nn
from tqdm import tqdm

from distdl_ops import World, simulate, world
from distdl_ops.worlds.start import in_job
from distdl_ops.worlds.threads import MOST_RANKS
from linop import check_adjoint
from torch_bridge import Explanation

TOLERANCE = {"float64": 1e-10, "float32": 1e-3}
"""How far the losses of the first steps may differ from the sequential ones, relative."""

FIRST_STEPS = 20
"""How many steps these are."""

Sample = tuple[torch.Tensor, torch.Tensor]
"""Inputs and targets of a batch, whole, the same on every rank."""

Given = TypeVar("Given", bound="Options")
Prepared = TypeVar("Prepared")


# -- training ----------------------------------------------------------------------------------------------------------


@dataclass
class Network:
    """A network in training, distributed or not.

    Attributes
    ----------
    model : module
        The network.
    loss : callable
        From whole inputs and targets to the mean loss, the same on every rank.
    """

    model: nn.Module
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class History:
    """What training gave: the loss of every step, and how long it took."""

    losses: list[float]
    seconds: float


def progress(show: str, steps: int) -> Any:
    """Return a bar for so many steps, with a name beside it; nothing is shown where that is empty."""
    pause = 0.5 if sys.stderr.isatty() else 15.0  # seconds; a log need not keep every step
    return tqdm(total=steps, desc=show, disable=not show, unit="step", mininterval=pause)


def fit(network: Network, optimizer: torch.optim.Optimizer, batches: Iterable[Sample], bar: Any) -> list[float]:
    """Take a step for each batch, and return the losses."""
    losses: list[float] = []
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = network.loss(inputs, targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        bar.update()
    return losses


def train(network: Network, batches: Sequence[Sample], options: Options, *, show: str) -> History:
    """Train a network with Adam on some batches."""
    start = time.perf_counter()
    optimizer = torch.optim.Adam(network.model.parameters(), lr=options.lr)
    with progress(show, len(batches)) as bar:
        losses = fit(network, optimizer, batches, bar)
    return History(losses, time.perf_counter() - start)


def train_both(
    world: World,
    distributed: Network,
    sequential: Network,
    batches: Sequence[Sample],
    explanation: Explanation,
    options: Options,
    title: str,
    outcome: Callable[[], str] | None = None,
) -> int:
    """Train a distributed network, then the sequential one on rank 0 from the same weights, and compare them.

    Parameters
    ----------
    distributed, sequential : Network
        Of equal weights.
    explanation : Explanation
        Of the distributed loss: its movements are checked before training begins.
    title : str
        Of the picture.
    outcome : callable, optional
        Says how good the trained distributed network is. Collective.

    Returns
    -------
    int
        The exit status on every rank: 0 when everything is as it should be.
    """
    say = print if world.rank == 0 else lambda _: None
    problems = [] if check_adjoints(explanation, say) else ["an adjoint is wrong"]
    say("")
    history = train(distributed, batches, options, show="distributed" if world.rank == 0 else "")
    say(f"\n{outcome()}" if outcome else "")
    state = distributed.model.state_dict()
    if world.rank == 0:
        expected = train(sequential, batches, options, show="sequential")
        problems += compare(history.losses, expected.losses, options.dtype)
        difference = largest_difference(state, sequential.model.state_dict())
        print(f"weights and statistics differ by {difference:.1e} at most")
        for name, other in (("distributed", history), ("sequential", expected)):
            print(f"{name:<12} loss {other.losses[0]:.4f} to {other.losses[-1]:.4f}, {other.seconds:.1f} s")
        draw(history.losses, expected.losses, options.picture, title)
    return verdict(world, problems)


def largest_difference(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Return by how much an entry of one state differs from the other's at most."""
    return max(float((state[name] - value).abs().max()) for name, value in other.items())


# -- checks ------------------------------------------------------------------------------------------------------------


def check_adjoints(explanation: Explanation, say: Callable[[str], None]) -> bool:
    """Check the adjoint of every movement of a program, each once, and print them as a table. Collective."""
    rows, seen, passed = [], set(), True
    for step in explanation.steps:
        for moved in step.moved:
            A = moved.operator
            if A in seen:
                continue
            seen.add(A)
            report = check_adjoint(A)
            passed = passed and report.passed and not report.vacuous
            where = f"{step.module or '-'}: {step.function.rpartition('.')[2]}"
            verdict = f"{'passed' if report else 'FAILED'} ({report.mode})"
            rows.append((where, str(A), verdict, f"{A.domain.layout} -> {A.codomain.layout}"))
            if not report:
                say(str(report))
    head = ("where first", "operator", "adjoint", "spaces")
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(3)]
    for row in (head, *rows):
        say(" ".join([*(text.ljust(width) for text, width in zip(row[:3], widths, strict=True)), row[3]]))
    return passed


def differences(distributed: Sequence[float], sequential: Sequence[float]) -> list[float]:
    """Return how far the losses of each step are apart, relative."""
    return [abs(d - s) / abs(s) for d, s in zip(distributed, sequential, strict=True)]


def compare(distributed: Sequence[float], sequential: Sequence[float], dtype: str) -> list[str]:
    """Print how far the losses are apart, and return what should not be."""
    apart = differences(distributed, sequential)
    first, worst = (float(torch.tensor(d).max()) for d in (apart[:FIRST_STEPS], apart))  # keeps NaN
    print(f"\nlosses differ by {first:.1e} in the first {FIRST_STEPS} steps, by {worst:.1e} at most (relative)")
    problems = []
    if not first <= TOLERANCE[dtype]:
        problems.append(f"the losses differ by more than {TOLERANCE[dtype]:.0e} in the first steps")
    if not all(math.isfinite(loss) for loss in [*distributed, *sequential]):
        problems.append("a loss is not finite")
    return problems


def verdict(world: World, problems: list[str]) -> int:
    """Say on rank 0 what it has found, and return the exit status on every rank. Collective."""
    if world.rank == 0:
        print("all checks passed" if not problems else "FAILED: " + "; ".join(problems))
    (problems, *_) = world.allgather(problems, "the verdict")
    return 1 if problems else 0


def draw(distributed: Sequence[float], sequential: Sequence[float], picture: str, title: str) -> None:
    """Save a picture of both loss curves, and of how far they are apart."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    above.plot(sequential, color="tab:orange", linewidth=3, alpha=0.6, label="sequential")
    above.plot(distributed, color="tab:blue", linewidth=1, label="distributed")
    scale = "log" if all(0 < loss < math.inf for loss in [*distributed, *sequential]) else "linear"
    above.set(yscale=scale, ylabel="training loss")
    above.set_title(title, fontsize="medium", wrap=True)
    above.legend()
    apart = differences(distributed, sequential)
    below.plot(apart, ".", color="black", markersize=4)  # points: where there is no difference, a log scale has none
    below.set(yscale=scale if any(apart) else "linear", xlabel="step", ylabel="relative difference")
    figure.savefig(picture, dpi=150)
    print(f"loss curves: {picture}")


# -- the command line --------------------------------------------------------------------------------------------------


class Options(argparse.Namespace):
    """What every example's command line says."""

    ranks: int | None
    batch_size: int
    lr: float
    seed: int
    dtype: str
    picture: str


class Parser(argparse.ArgumentParser):
    """A parser whose errors are raised, so that one rank can tell them for all.

    Parameters
    ----------
    name : str
        Of the example.
    description : str
        The example's docstring.
    batch_size, lr, dtype, ranks
        The defaults of the options that all examples have.
    """

    def __init__(
        self, name: str, description: str, *, batch_size: int, lr: float, dtype: str = "float64", ranks: int = 4
    ) -> None:
        super().__init__(prog=name, description=description.partition("\n")[0])
        self.simulated = ranks
        self.add_argument(
            "--ranks", type=at_least_one, help=f"simulated ranks (default: {ranks}); under mpiexec, its ranks"
        )
        self.add_argument("--batch-size", type=at_least_one, default=batch_size)
        self.add_argument("--lr", type=positive, default=lr, help="learning rate of Adam")
        self.add_argument("--seed", type=seed, default=0, help="of the weights and of the order of samples")
        self.add_argument("--dtype", choices=sorted(TOLERANCE), default=dtype)
        self.add_argument("--picture", default=f"{name}.png", help="where the loss curves are saved")

    def error(self, message: str) -> NoReturn:
        """Raise the error."""
        raise ValueError(message)


def at_least_one(text: str) -> int:
    """Return a whole number of one or more."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def positive(text: str) -> float:
    """Return a positive number."""
    if not 0 < float(text) < math.inf:
        raise ValueError
    return float(text)


def seed(text: str) -> int:
    """Return what torch takes as a seed."""
    if not 0 <= int(text) < 2**63:
        raise ValueError
    return int(text)


at_least_one.__name__, positive.__name__ = "positive whole number", "positive number"  # what argparse calls them


def check_options(world: World, options: Options) -> None:
    """Raise a ValueError in one line unless the options that all examples have can be followed."""
    if options.ranks not in (None, world.size):
        raise ValueError(f"--ranks {options.ranks}: mpiexec started {world.size}")
    picture = Path(options.picture)
    if not picture.absolute().parent.is_dir() or picture.is_dir():
        raise ValueError(f"--picture {picture}: expected a file in a folder that exists")
    if picture.suffix not in (".png", ".pdf", ".svg"):
        raise ValueError(f"--picture {picture}: expected a name that ends in .png, .pdf or .svg")


def start(
    arguments: list[str] | None,
    parser: Parser,
    options: Given,
    prepare: Callable[[World, Given], Prepared],
    run: Callable[[World, Given, Prepared], int],
) -> int:
    """Run an example on MPI's ranks under mpiexec, on simulated ranks otherwise, and return its exit status.

    Parameters
    ----------
    arguments : list of str or None
        The command line; None for that of the program.
    options : Options
        Where they are put.
    prepare : callable
        Makes what `run` needs, on every rank. A ValueError that it raises on all of them is told in one line.
    run : callable
        The program of every rank, with what was prepared.
    """

    def program(world: World) -> int:
        torch.set_num_threads(1)
        try:
            check_options(world, options)
            prepared = prepare(world, options)
        except ValueError as error:
            return refuse(error, world)
        return run(world, options, prepared)

    def refuse(error: object, world: World | None) -> int:
        if world is None or world.rank == 0:
            print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2

    try:
        parser.parse_args(arguments, namespace=options)
    except ValueError as error:
        return refuse(error, world() if in_job() else None)
    if in_job():
        return program(world())
    options.ranks = options.ranks or parser.simulated
    if options.ranks > MOST_RANKS:
        return refuse(f"--ranks {options.ranks}: at most {MOST_RANKS} are simulated", None)
    return max(simulate(options.ranks, program))
