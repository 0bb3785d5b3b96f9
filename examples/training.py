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

from distdl_ops import DistributedSpace, Finish, Start, World, simulate, world
from distdl_ops.worlds.start import in_job
from distdl_ops.worlds.threads import MOST_RANKS
from linop import check_adjoint
from torch_bridge import Operator
from torch_bridge.nn import gather_state, load_state

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
    modules : module
        All of its modules, the loss among them if it has movements.
    loss : callable
        From whole inputs and targets to the mean loss, the same on every rank.
    """

    modules: nn.Module
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
    optimizer = torch.optim.Adam(network.modules.parameters(), lr=options.lr)
    with progress(show, len(batches)) as bar:
        losses = fit(network, optimizer, batches, bar)
    return History(losses, time.perf_counter() - start)


def train_both(
    world: World,
    begin: nn.Module,
    distributed: tuple[nn.Module, Network],
    sequential: Network,
    batches: Sequence[Sample],
    options: Options,
    title: str,
    outcome: Callable[[], str] | None = None,
) -> int:
    """Train a distributed network from the weights of the sequential one, then that one on rank 0, and compare them.

    Parameters
    ----------
    begin : module
        The sequential model.
    distributed : (module, Network)
        The distributed model, with the sequential one's names, and its network.
    sequential : Network
        Of `begin`.
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
    model, network = distributed
    load_state(model, begin.state_dict())
    problems = [] if check_adjoints(network.modules, say) else ["an adjoint is wrong"]
    say("")
    found = train(network, batches, options, show="distributed" if world.rank == 0 else "")
    gather_state(model)  # raises where the replicas of a parameter have drifted apart
    say(f"\n{outcome()}" if outcome else "")
    if world.rank == 0:
        expected = train(sequential, batches, options, show="sequential")
        problems += compare(found.losses, expected.losses, options.dtype)
        for name, history in (("distributed", found), ("sequential", expected)):
            print(f"{name:<12} loss {history.losses[0]:.4f} to {history.losses[-1]:.4f}, {history.seconds:.1f} s")
        draw(found.losses, expected.losses, options.picture, title)
    return verdict(world, problems)


# -- checks ------------------------------------------------------------------------------------------------------------


def check_adjoints(modules: nn.Module, say: Callable[[str], None]) -> bool:
    """Check the adjoint of every operator in a network, and print them as a table. Collective."""
    operators = {name: module.operator for name, module in modules.named_modules() if isinstance(module, Operator)}
    found = {name: A for name, A in operators.items() if not isinstance(A, Start | Finish)}  # of these, the whole is
    names = {where: f"{text[:57]}..." if len(text := str(operator)) > 60 else text for where, operator in found.items()}
    first, second = (max(map(len, texts)) for texts in (names, names.values()))
    say(f"{'where':<{first}} {'operator':<{second}} {'adjoint':<17} spaces")
    passed = True
    for where, operator in found.items():
        report = check_adjoint(operator)
        passed = passed and report.passed and not report.vacuous
        told = f"{'passed' if report else 'FAILED'} ({report.mode})"
        ends = (operator.domain, operator.codomain)
        spaces = " -> ".join(str(space.layout) for space in ends if isinstance(space, DistributedSpace))
        say(f"{where:<{first}} {names[where]:<{second}} {told:<17} {spaces}")
        if not report:
            say(str(report))
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
