"""Gradients of torch.distributed's collectives, checked over all ranks at once; some are wrong.

Run it on two processes of this machine, or on those of torchrun::

    python examples/known_wrong_gradients.py
    torchrun --nproc-per-node 3 examples/known_wrong_gradients.py

Each line of the table is one function: which collective of torch's it calls, what that means mathematically (what lies
how before and after), what `spmd_gradcheck` says, and by which factors the gradients are wrong on which ranks. Where
torch raises an error, or the process group has no such operation, the line says so. The last lines do the same with
this library's movements.

A second table compares convolutions of an image that is split in space with those of one process.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
import torch.distributed.nn.functional as collectives
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.distributed.tensor import distribute_tensor as distribute_dtensor
from torch.multiprocessing.spawn import spawn

from distdl_ops import Copies, DistributedSpace, Grid, Movement, Replicated, Role, Split
from torch_bridge import DistributedTensor, as_function, distribute_tensor
from torch_bridge.gradcheck import spmd_gradcheck
from torch_bridge.worlds import TorchWorld

OWN, ONE = Copies(), Replicated()


@dataclass
class Case:
    """A function, and how its input and its output lie over the ranks.

    Attributes
    ----------
    name : str
        What it calls.
    f : callable
        Takes this rank's tensor to this rank's result.
    domain, codomain : Role
        Each rank's own (``Copies()``), or one vector that all ranks store (``Replicated()``).
    """

    name: str
    f: Callable[[torch.Tensor], torch.Tensor]
    domain: Role = OWN
    codomain: Role = OWN


def cases(world: TorchWorld) -> list[Case]:
    """Return the functions that are checked. A product with one waits for what torch has only begun."""
    size, rank = world.size, world.rank
    everyone = list(range(size))
    mesh = init_device_mesh("cpu", (size,))
    space = DistributedSpace(Grid(world, p=size), (4,), p=Copies())

    def in_place(x: torch.Tensor) -> torch.Tensor:
        y = 1 * x
        dist.all_reduce(y)
        return y

    def in_place_broadcast(x: torch.Tensor) -> torch.Tensor:
        y = 1 * x
        dist.broadcast(y, 0)
        return y

    def reduce_scatter(op: dist.ReduceOp.RedOpType) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: collectives.reduce_scatter(torch.empty_like(x), [(k + 1) * x for k in everyone], op)

    def local_of(*gradient: Partial) -> Callable[[torch.Tensor], torch.Tensor]:
        def f(x: torch.Tensor) -> torch.Tensor:
            whole = DTensor.from_local(x, mesh, [Replicate()], run_check=False)
            return (rank + 1) * whole.to_local(grad_placements=gradient or None)

        return f

    return [
        Case("nn.functional.all_reduce(SUM)", collectives.all_reduce),
        Case("nn.functional.all_reduce(SUM)", collectives.all_reduce, codomain=ONE),
        Case("nn.functional.all_reduce(MAX)", lambda x: collectives.all_reduce(x, dist.ReduceOp.MAX)),
        Case("nn.functional.broadcast", lambda x: collectives.broadcast(x, 0)),
        Case("nn.functional.broadcast", lambda x: collectives.broadcast(x, 0), codomain=ONE),
        Case("nn.functional.all_gather", lambda x: torch.cat(collectives.all_gather(x))),
        Case("nn.functional.all_gather", lambda x: torch.cat(collectives.all_gather(x)), codomain=ONE),
        Case("nn.functional.reduce_scatter(SUM)", reduce_scatter(dist.ReduceOp.SUM)),
        Case("nn.functional.reduce_scatter(AVG)", reduce_scatter(dist.ReduceOp.AVG)),
        Case("dist.all_reduce, in place", in_place),
        Case("dist.broadcast, in place", in_place_broadcast),
        Case("functional.all_reduce(sum)", lambda x: 1 * functional.all_reduce(x, "sum", everyone)),
        Case("functional.all_reduce(avg)", lambda x: 1 * functional.all_reduce(x, "avg", everyone)),
        Case("functional.broadcast", lambda x: 1 * functional.broadcast(x, 0, everyone)),
        Case("functional.all_gather_tensor", lambda x: 1 * functional.all_gather_tensor(x, 0, everyone)),
        Case(
            "functional.all_gather_tensor_autograd", lambda x: 1 * functional.all_gather_tensor_autograd(x, 0, everyone)
        ),
        Case(
            "functional.reduce_scatter_tensor(avg)",
            lambda x: 1 * functional.reduce_scatter_tensor(x.repeat(size), "avg", 0, everyone),
        ),
        Case(
            "functional.reduce_scatter_tensor_autograd(avg)",
            lambda x: 1 * functional.reduce_scatter_tensor_autograd(x.repeat(size), "avg", 0, everyone),
        ),
        Case("DTensor.to_local of Replicate", local_of(), domain=ONE),
        Case("DTensor.to_local of Replicate, as Partial", local_of(Partial()), domain=ONE),
        Case("torch_bridge: AllSumReduce", as_function(Movement(space, space))),
        Case("torch_bridge: AllReduce", as_function(Movement(space, space.with_roles(p=ONE))), codomain=ONE),
        Case("torch_bridge: Copy", as_function(Movement(space.with_roles(p=ONE), space)), domain=ONE),
    ]


def check(case: Case, world: TorchWorld) -> tuple[str, str]:
    """Return the verdict on a case, and what is wrong. Collective."""
    x = torch.linspace(-1, 1, 4, dtype=torch.float64)
    x = (x if case.domain == ONE else x + world.rank).requires_grad_()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of some of these, and not of others
            report = spmd_gradcheck(case.f, [x], world, domains=[case.domain], codomains=[case.codomain])
    except (RuntimeError, NotImplementedError, ValueError) as error:
        return "error", str(error).strip().splitlines()[0]
    if report:
        return "right", ""
    ratios: dict[str, list[int]] = {}
    for fault in report.wrong:
        times = "another vector" if fault.ratio is None else f"{fault.ratio:.3g} times"
        ratios.setdefault(times, []).append(fault.rank)
    reasons = [f"{ratio}, on rank {', '.join(map(str, ranks))}" for ratio, ranks in ratios.items()]
    return "WRONG", "; ".join(reasons) or "; ".join(report.differing)


def convolutions(world: TorchWorld) -> list[tuple[str, str, str]]:
    """Return what was convolved, the verdict, and what is wrong: DTensor's, and this library's. Collective."""
    mesh, grid = init_device_mesh("cpu", (world.size,)), Grid(world, p=world.size)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=generator)
    kernel = torch.randn(1, 1, 3, 3, dtype=torch.float64, generator=generator)
    expected = torch.nn.functional.conv2d(image, kernel, padding=1)
    lines = []
    for name, axis in (("rows", 2), ("columns", 3)):
        try:
            split = distribute_dtensor(image, mesh, [Shard(axis)])
            result = torch.nn.functional.conv2d(split, distribute_dtensor(kernel, mesh, [Replicate()]), padding=1)
            assert isinstance(result, DTensor)
            part = tuple(result.to_local().shape)
            label = f"says {result.placements[0]!r} of shape {tuple(result.shape)}, holds {part}"
            verdict = compare(result.full_tensor(), expected, label)
        except (RuntimeError, NotImplementedError) as error:
            verdict = "error", str(error).strip().splitlines()[0]
        lines.append((f"DTensor: conv2d, {name} split", *verdict))
        ours = torch.nn.functional.conv2d(distribute_tensor(image, grid, p=Split(axis)), kernel, padding=1)
        assert isinstance(ours, DistributedTensor)
        verdict = compare(ours.full_tensor().to_local(), expected, "other numbers")
        lines.append((f"torch_bridge: conv2d, {name} split", *verdict))
    return lines


def compare(result: torch.Tensor, expected: torch.Tensor, label: str) -> tuple[str, str]:
    """Return the verdict on a result beside that of one process, and what is wrong."""
    # nine products a sum, each within 10: roundings stay far below
    if result.shape == expected.shape and torch.allclose(result, expected, rtol=0, atol=1e-12):
        return "right", ""
    return "WRONG", label


def show(world: TorchWorld) -> None:
    """Print the table."""
    if world.rank == 0:
        print(f"{world.size} processes, torch {torch.__version__}\n")
        print(f"{'function':<48}{'from':<8}{'to':<8}{'gradient':<10}", flush=True)
    names = {OWN: "own", ONE: "one"}
    for case in cases(world):
        verdict, reason = check(case, world)
        dist.barrier()
        if world.rank == 0:
            place = f"{names[case.domain]:<8}{names[case.codomain]:<8}"
            print(f"{case.name:<48}{place}{verdict:<10}{reason[:90]}".rstrip(), flush=True)
    lines = convolutions(world)
    if world.rank == 0:
        print(f"\n{'function':<48}{'value':<10}")
        for name, verdict, reason in lines:
            print(f"{name:<48}{verdict:<10}{reason}".rstrip(), flush=True)


def run(rank: int, size: int, store: str) -> None:
    """Be one of several processes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
    try:
        show(TorchWorld())
    finally:
        dist.destroy_process_group()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--processes", type=int, default=2, help="to start here; under torchrun, they are there")
    options = parser.parse_args()
    if "RANK" in os.environ:
        run(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), "env://")
        return
    with tempfile.TemporaryDirectory() as folder:
        store = f"file://{Path(folder) / 'store'}"
        spawn(run, (options.processes, store), options.processes)


if __name__ == "__main__":
    main()
