"""Training steps beside torch's own: DDP (data parallel), FSDP2 (sharded weights), DTensor (tensor parallel).

    mpiexec -n 2 python benchmarks/peers.py                             on this machine
    python benchmarks/hosts.py 1gbit 2 benchmarks/peers.py              on two hosts (``make bench-hosts``)

Variants of a row take their steps by turns, so that other load meets all of them. Before that, each variant's gradients
of the first step are compared with those of one process on the whole batch. For each variant are printed: the median
and the best time of the slowest rank, both divided by the peer's, the median divided by the bound, bytes that a host
has sent over the link, and the messages of ours.

The bound is the larger one of two times: what the ranks compute (measured, nothing sent), and the bytes that must cross
the link in each direction divided by its rate. A step that overlaps nothing takes their sum.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mpi4py import MPI
from torch import nn
from torch.nn import functional

from distdl_ops import Grid, Split, World, world
from torch_bridge import distribute, distribute_tensor
from torch_bridge.worlds import TorchWorld

JOB = MPI.COMM_WORLD
HOSTS = 2 if "LINK_RATE" in os.environ else 1
SENT = Path("/sys/class/net/slow/statistics/tx_bytes")
TOLERANCE = 1e-4
"""Relative to the largest gradient of a weight: sums of thousands of products in single precision, in another order."""


# -- networks ----------------------------------------------------------------------------------------------------------


def perceptron(width: int, depth: int) -> nn.Module:
    """Return linear layers of one width, with an activation between them."""
    modules: list[nn.Module] = []
    for _ in range(depth):
        modules += [nn.Linear(width, width), nn.GELU()]
    return nn.Sequential(*modules[:-1])


class Residual(nn.Module):
    """Two linear layers and a shortcut."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.widen, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result."""
        return x + self.narrow(functional.gelu(self.widen(x)))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A small language model of torch's own layers."""

    def __init__(self, words: int, width: int, heads: int, depth: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(torch.randn(length, width) / 50)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(depth))
        self.head = nn.Linear(width, words, bias=False)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """Return the score of each word at each place."""
        x = self.words(text) + self.places
        for layer in self.layers:
            x = layer(x)
        return self.head(x)  # type: ignore[no-any-return]


def mean_square(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return a loss."""
    return model(x).square().mean()  # type: ignore[no-any-return]


def entropy(model: nn.Module, text: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """Return the loss of a language model."""
    return functional.cross_entropy(model(text).flatten(0, 1), following.flatten())


# -- variants ----------------------------------------------------------------------------------------------------------

Loss = Callable[..., torch.Tensor]


class Variant:
    """A model that is trained in one way.

    Parameters
    ----------
    model : torch.nn.Module
        It is given the batch.
    batch : sequence of torch.Tensor
        This rank's part, as the model wants it.
    loss : callable
        Of the model and the batch.
    ranks : World, optional
        Whose traffic is counted.
    compared : bool, optional
        Whether its gradients are those of the whole batch.
    """

    def __init__(
        self, model: nn.Module, batch: Sequence[Any], loss: Loss, ranks: World | None = None, *, compared: bool = True
    ) -> None:
        self.model, self.batch, self.loss, self.ranks, self.compared = model, batch, loss, ranks, compared
        self.optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        self.seconds: list[float] = []
        self.link: list[int] = []
        self.messages = self.collectives = 0

    def gradients(self) -> list[torch.Tensor]:
        """Return the whole gradients of the first step, on every rank."""
        self.loss(self.model, *self.batch).backward()
        found = [_whole(weight.grad) for weight in self.model.parameters()]
        self.optimizer.zero_grad()
        return found

    def step(self) -> None:
        """Take a step."""
        self.optimizer.zero_grad()
        self.loss(self.model, *self.batch).backward()
        self.optimizer.step()

    def measure(self) -> None:
        """Take a step; note what it takes."""
        traffic = self.ranks and self.ranks.traffic
        before = (traffic.messages, traffic.collectives) if traffic else (0, 0)
        JOB.Barrier()
        sent = _sent()
        JOB.Barrier()
        began = time.perf_counter()
        self.step()
        self.seconds.append(JOB.allreduce(time.perf_counter() - began, MPI.MAX))
        self.link.append(JOB.allreduce(_sent() - sent, MPI.MAX))
        if traffic:
            self.messages, self.collectives = traffic.messages - before[0], traffic.collectives - before[1]


def _sent() -> int:
    """Return how many bytes this host has sent over the link; 0 without one."""
    return int(SENT.read_text()) if HOSTS > 1 else 0


def _whole(gradient: Any) -> torch.Tensor:
    """Return the whole of a gradient, ours or torch's, on every rank."""
    whole = gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
    return (whole.to_local() if hasattr(whole, "to_local") else whole).clone()  # type: ignore[no-any-return]


def _mine(whole: torch.Tensor) -> torch.Tensor:
    """Return this rank's samples."""
    return whole.chunk(JOB.size)[JOB.rank]


class Shards(nn.Module):
    """What a rank of sharded data parallelism computes: all products, and its share of the optimizer's work."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.whole = [model]  # in a list: its weights are none of the optimizer's
        self.shares = nn.ParameterList(w.detach().chunk(JOB.size)[0].clone() for w in model.parameters())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result; let the shares have gradients of their size."""
        for share, weight in zip(self.shares, self.whole[0].parameters(), strict=True):
            share.grad = torch.zeros_like(share)
            weight.grad = None
        return self.whole[0](x)  # type: ignore[no-any-return]


class Row(NamedTuple):
    """A comparison.

    Attributes
    ----------
    title : str
        In words.
    alone : Variant
        What the ranks compute, nothing sent.
    peer : str
        The name of torch's own among the variants.
    variants : dict
        Those that train together.
    least : int
        Bytes that a host must send over the link.
    reference : list of torch.Tensor
        The gradients of one process.
    """

    title: str
    alone: Variant
    peer: str
    variants: dict[str, Variant]
    least: int
    reference: list[torch.Tensor]


def data_parallel(title: str, make: Callable[[], nn.Module], batch: Sequence[torch.Tensor], loss: Loss) -> Row:
    """Split samples; every rank has all weights."""
    parts = [_mine(whole) for whole in batch]
    variants = {"DDP": Variant(nn.parallel.DistributedDataParallel(make()), parts, loss)}
    for name, ranks in engines().items():
        grid = Grid(ranks, data=ranks.size)
        placed = [distribute_tensor(whole, grid, data=Split(0)) for whole in batch]
        variants[name] = Variant(distribute(make(), grid), placed, loss, ranks)
    # what a host must be told is the sum of the other's gradients
    least = size_of(make()) * (HOSTS - 1)
    return Row(title, Variant(make(), parts, loss), "DDP", variants, least, Variant(make(), batch, loss).gradients())


def sharded(title: str, make: Callable[[], nn.Module], batch: Sequence[torch.Tensor], loss: Loss) -> Row:
    """Split samples and weights; a layer's weights are gathered where they are used."""
    from torch.distributed.fsdp import fully_shard

    parts, theirs = [_mine(whole) for whole in batch], make()
    for child in theirs.children():
        if next(child.parameters(), None) is not None:
            fully_shard(child)
    fully_shard(theirs)
    variants = {"FSDP2": Variant(theirs, parts, loss)}
    for name, ranks in engines().items():
        grid = Grid(ranks, data=ranks.size)
        model = distribute(make(), grid, {"*": {"data": Split(0)}})
        placed = [distribute_tensor(whole, grid, data=Split(0)) for whole in batch]
        variants[name] = Variant(model, placed, loss, ranks)
    # weights come twice, gradients leave once; each time half of them is on the other host
    least = 3 * size_of(make()) * (HOSTS - 1) // HOSTS
    alone = Variant(Shards(make()), parts, loss)
    return Row(title, alone, "FSDP2", variants, least, Variant(make(), batch, loss).gradients())


def tensor_parallel(title: str, width: int, inner: int, depth: int, samples: int) -> Row:
    """Of two linear layers, the first is split by its results, the second by its arguments."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    def make(inner: int = inner) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(*[Residual(width, inner) for _ in range(depth)])

    torch.manual_seed(1)
    x, theirs, mesh = torch.randn(samples, width), make(), init_device_mesh("cpu", (JOB.size,))
    for pair in theirs.children():
        parallelize_module(pair, mesh, {"widen": ColwiseParallel(), "narrow": RowwiseParallel()})
    variants = {"DTensor": Variant(theirs, [x], mean_square)}
    layouts = {"*.widen.*": {"model": Split(0)}, "*.narrow.weight": {"model": Split(1)}}
    for name, ranks in engines().items():
        grid = Grid(ranks, model=ranks.size)
        variants[name] = Variant(distribute(make(), grid, layouts), [distribute_tensor(x, grid)], mean_square, ranks)
    # each pair adds up its results, and, but for the first one, the gradients of its arguments
    least = (2 * depth - 1) * x.nbytes * (HOSTS - 1)
    alone = Variant(make(inner // JOB.size), [x], mean_square)
    return Row(title, alone, "DTensor", variants, least, Variant(make(), [x], mean_square).gradients())


def size_of(model: nn.Module) -> int:
    """Return the bytes of a model's weights."""
    return sum(weight.nbytes for weight in model.parameters())


_engines: dict[str, World] = {}


def engines() -> dict[str, World]:
    """Return the worlds of both engines."""
    if not _engines:
        _engines.update({"ours, MPI": world(), "ours, gloo": TorchWorld()})
    return _engines


# -- rows --------------------------------------------------------------------------------------------------------------


def layers(row: Callable[..., Row], kind: str, width: int, depth: int, samples: int) -> Row:
    """Return a row of linear layers."""

    def make() -> nn.Module:
        torch.manual_seed(0)
        return perceptron(width, depth)

    torch.manual_seed(1)
    x = torch.randn(samples, width)
    return row(f"{kind}, {depth} layers of {width}, {samples} samples", make, [x], mean_square)


def language(row: Callable[..., Row], kind: str) -> Row:
    """Return a row of a language model."""

    def make() -> nn.Module:
        torch.manual_seed(0)
        return Transformer(2048, 256, 8, 4, 64)

    torch.manual_seed(1)
    text = torch.randint(2048, (16, 65))
    return row(
        f"{kind}, transformer of 4 layers of 256, 16 texts of 64 words", make, [text[:, :-1], text[:, 1:]], entropy
    )


ROWS: dict[str, Callable[[], Row]] = {
    "data_small": lambda: layers(data_parallel, "data parallel", 256, 4, 64),
    "data_large": lambda: layers(data_parallel, "data parallel", 1024, 8, 512),
    "data_text": lambda: language(data_parallel, "data parallel"),
    "sharded_small": lambda: layers(sharded, "sharded", 256, 4, 64),
    "sharded_large": lambda: layers(sharded, "sharded", 1024, 12, 512),
    "tensor_small": lambda: tensor_parallel("tensor parallel, 4 pairs 128-512-128, 64 samples", 128, 512, 4, 64),
    "tensor_large": lambda: tensor_parallel("tensor parallel, 6 pairs 512-2048-512, 512 samples", 512, 2048, 6, 512),
}


def wrong(variant: Variant, reference: list[torch.Tensor]) -> float:
    """Return the largest difference from the gradients of one process, relative to the largest entry of each."""
    pairs = zip(variant.gradients(), reference, strict=True)
    return max(float((mine - right).abs().max() / right.abs().max()) for mine, right in pairs)


def compare(key: str, row: Row, turns: int, warm: int) -> dict[str, Any]:
    """Let the variants of a row take steps by turns; print and return what they take."""
    errors = {name: JOB.allreduce(wrong(variant, row.reference), MPI.MAX) for name, variant in row.variants.items()}
    everyone = {"compute alone": row.alone, **row.variants}
    for _ in range(warm + turns):
        for variant in everyone.values():
            variant.measure()
    for variant in everyone.values():
        del variant.seconds[:warm], variant.link[:warm]
    link = row.least / float(os.environ["LINK_RATE"]) if HOSTS > 1 else 0.0
    compute, peer = row.alone.seconds, row.variants[row.peer].seconds
    bound = max(statistics.median(compute), link)
    table: dict[str, Any] = {"row": key, "title": row.title, "least_bytes": row.least, "bound_ms": 1e3 * bound}
    table["load"] = os.getloadavg()[0]
    lines = [
        f"{row.title}\n    load {table['load']:.1f}; at least {row.least / 1e6:.2f} MB over the link, "
        f"{1e3 * link:.1f} ms; bound {1e3 * bound:.1f} ms; "
        f"without overlap {1e3 * (statistics.median(compute) + link):.1f} ms",
        f"    {'':14}{'ms':>9}{'best':>9}{'/ peer':>8}{'best':>7}{'/ bound':>9}{'MB':>9}{'messages':>10}  gradients",
    ]
    for name, variant in everyone.items():
        middle, best = statistics.median(variant.seconds), min(variant.seconds)
        megabytes, messages = statistics.median(variant.link) / 1e6, variant.messages + variant.collectives
        error = errors.get(name)
        right = "" if error is None else f"{error:.0e}{'' if error <= TOLERANCE else '  WRONG'}"
        table[name] = {
            "ms": 1e3 * middle, "best_ms": 1e3 * best, "to_peer": middle / statistics.median(peer),
            "best_to_peer": best / min(peer), "to_bound": middle / bound, "link_mb": megabytes,
            "messages": messages, "gradients": error,
        }  # fmt: skip
        lines.append(
            f"    {name:14}{1e3 * middle:9.1f}{1e3 * best:9.1f}{middle / statistics.median(peer):8.2f}"
            f"{best / min(peer):7.2f}{middle / bound:9.2f}{megabytes:9.2f}{messages or '':>10}  {right}"
        )
    if JOB.rank == 0:
        print("\n".join(lines), flush=True)
    if any(error > TOLERANCE for error in errors.values()):
        raise SystemExit(f"{row.title}: gradients differ from those of one process: {errors}")
    return table


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", help="write the numbers, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if HOSTS == 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = JOB.bcast(free.getsockname()[1])
        os.environ.update(RANK=str(JOB.rank), WORLD_SIZE=str(JOB.size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo")
    if JOB.rank == 0:
        rate = f" of {8 * float(os.environ['LINK_RATE']) / 1e6:g} Mbit/s" if HOSTS > 1 else ""
        print(f"{JOB.size} ranks on {HOSTS} host{'s, a link' + rate if HOSTS > 1 else ''}; {os.cpu_count()} cores")
    tables = [compare(key, ROWS[key](), options.turns, options.warm) for key in options.rows.split(",")]
    if JOB.rank == 0 and options.json:
        Path(options.json).write_text(json.dumps(tables, indent=1))
    JOB.Barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
