"""What the bridge to torch costs: chains of operators, forward and backward, beside what torch has.

Two processes of gloo on this machine. All columns take turns, so that they see the same machine; the table has medians
over the turns, in microseconds, and in parentheses the median of the ratios to the first column in the same turn.

* *bare Function* is an autograd.Function written for this chain, with dist.all_reduce, or with the operator and its
  adjoint, in its two passes: what has to be paid for in any case.
* *as_function* is the whole chain as one operator, on the process group.
* *nn.functional* and *functional* are torch's two families of differentiable collectives, *DTensor* its distributed
  tensors, from this rank's part and back to it.

The local chain moves nothing. The others are an all-reduce between two diagonals, and an all-gather with the sum that
is its adjoint: torch has a function for both in each family.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
import torch.distributed.nn.functional as collectives
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.multiprocessing.spawn import spawn

from distdl_ops import Copies, DistributedSpace, Grid, Local, Movement, Split
from linop import Diagonal, Euclidean
from torch_bridge import as_function
from torch_bridge.worlds import TorchWorld

Step = Callable[[torch.Tensor], torch.Tensor]


def bare(forward: Step, backward: Step) -> Step:
    """Return an autograd.Function with these two passes."""

    class Bare(torch.autograd.Function):
        @staticmethod
        def forward(x: torch.Tensor) -> torch.Tensor:
            return forward(x.detach())

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(_: Any, g: torch.Tensor) -> torch.Tensor:
            return backward(g)

    return Bare.apply


def local(size: int) -> dict[str, Step]:
    """Return three diagonals, one after the other: by hand, and as one operator."""
    d = torch.linspace(0.5, 1.5, size, dtype=torch.float64)
    D = Diagonal(d.numpy(), Euclidean(size))
    A = D @ D @ D
    return {
        "bare Function": bare(A, A.dual),
        "as_function": as_function(A),
        "torch's autograd": lambda x: d * (d * (d * x)),
    }


def all_reduce(world: TorchWorld, size: int) -> dict[str, Step]:
    """Return a sum over all ranks, with a diagonal before and after it: from copies to copies."""
    d = torch.linspace(0.5, 1.5, size, dtype=torch.float64)
    S = DistributedSpace(Grid(world, p=world.size), (size,), p=Copies())
    D = Local(S, S, Diagonal(d.numpy(), Euclidean(size)))
    everyone, mesh = list(range(world.size)), init_device_mesh("cpu", (world.size,))

    def by_hand(x: torch.Tensor) -> torch.Tensor:
        y = d * x
        dist.all_reduce(y)
        return d * y

    def tensors(x: torch.Tensor) -> torch.Tensor:
        whole = DTensor.from_local(d * x, mesh, [Partial()], run_check=False).redistribute(mesh, [Replicate()])
        return d * whole.to_local(grad_placements=[Partial()])

    return {
        "bare Function": bare(by_hand, by_hand),
        "as_function": as_function(D @ Movement(S, S) @ D),
        "nn.functional": lambda x: d * collectives.all_reduce(d * x),
        "functional": lambda x: d * functional.all_reduce(d * x, "sum", everyone),
        "DTensor": tensors,
    }


def all_gather(world: TorchWorld, size: int) -> dict[str, Step]:
    """Return a gathering from intervals to copies, whose adjoint is a reduce-scatter."""
    n = size // world.size
    S = DistributedSpace(Grid(world, p=world.size), (n * world.size,), p=Split(0))
    everyone, mesh = list(range(world.size)), init_device_mesh("cpu", (world.size,))

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = torch.empty(n * world.size, dtype=x.dtype)
        dist.all_gather_into_tensor(y, x)
        return y

    def backward(g: torch.Tensor) -> torch.Tensor:
        x = torch.empty(n, dtype=g.dtype)
        dist.reduce_scatter_tensor(x, g.contiguous())
        return x

    def tensors(x: torch.Tensor) -> torch.Tensor:
        whole = DTensor.from_local(x, mesh, [Shard(0)], run_check=False).redistribute(mesh, [Replicate()])
        return whole.to_local(grad_placements=[Partial()])

    return {
        "bare Function": bare(forward, backward),
        "as_function": as_function(Movement(S, S.with_roles(p=Copies()))),
        "nn.functional": lambda x: torch.cat(collectives.all_gather(x)),
        "functional": lambda x: functional.all_gather_tensor_autograd(x, 0, everyone),
        "DTensor": tensors,
    }


def measure(steps: dict[str, Step], size: int, backward: bool, turns: int, number: int) -> dict[str, list[float]]:
    """Return the times of a call in microseconds, in every turn."""
    x = torch.linspace(-1.0, 1.0, size, dtype=torch.float64).requires_grad_(backward)
    g: torch.Tensor | None = None
    expected: list[torch.Tensor] = []
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(turns + 2):
        for name, step in steps.items():
            dist.barrier()
            start = time.perf_counter()
            for _ in range(number):
                y = step(x)
                if backward:
                    g = torch.ones_like(y) if g is None else g
                    (found,) = torch.autograd.grad(y, x, g)
                else:
                    found = 1 * y if name == "functional" else y  # torch has only begun
            taken = 1e6 * (time.perf_counter() - start) / number
            if turn >= 2:  # the first ones warm up
                times[name].append(taken)
            expected = expected or [found.detach().clone()]
            torch.testing.assert_close(found.detach() * 1, expected[0])
    return times


def show(world: TorchWorld, sizes: list[int], turns: int, number: int) -> None:
    """Print the table."""
    if world.rank == 0:
        print(f"{world.size} processes of gloo, torch {torch.__version__}; medians in microseconds")
    for size in sizes:
        part = size // world.size
        for title, steps, own in (
            ("local, three diagonals", local(size), size),
            ("diagonal, all-reduce, diagonal", all_reduce(world, size), size),
            ("all-gather", all_gather(world, size), part),
        ):
            for backward in (False, True):
                times = measure(steps, own, backward, turns, max(1, number if size < 10**5 else number // 10))
                if world.rank == 0:
                    base = times["bare Function"]
                    cells = (
                        f"{name} {statistics.median(found):.0f} "
                        f"({statistics.median(a / b for a, b in zip(found, base, strict=True)):.2f})"
                        for name, found in times.items()
                    )
                    passes = "forward + backward" if backward else "forward"
                    print(f"{size:>8} {title:<32}{passes:<20}" + "   ".join(cells), flush=True)


def run(rank: int, size: int, store: str, sizes: list[int], turns: int, number: int) -> None:
    """Be one of the processes."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)  # torch is about to rename some of these functions
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
    try:
        show(TorchWorld(), sizes, turns, number)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 1000000], help="entries of the whole tensor")
    parser.add_argument("--turns", type=int, default=15, help="of each column, after two to warm up")
    parser.add_argument("--number", type=int, default=50, help="of calls in a turn; a tenth of them for large tensors")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments = (
            options.processes,
            f"file://{Path(folder) / 'store'}",
            options.sizes,
            options.turns,
            options.number,
        )
        spawn(run, arguments, options.processes)
