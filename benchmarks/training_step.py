"""How long a training step of LeNet-5 takes, distributed and sequential, side by side.

Run under mpiexec on 4 ranks (``make bench``) or alone, on 4 simulated ranks. Steps of both networks take turns, so that
both see the same machine; the table has the median of each, and the ratio. The sequential network runs on rank 0 while
the others sleep, on one thread, as does each rank.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from lenet5 import distributed_lenet5, sequential_lenet5

from distdl_ops import Grid, World, simulate, world
from distdl_ops.worlds.start import under_mpi


def step(model: torch.nn.Module, loss: Callable, lay_out: Callable) -> Callable[[], None]:  # type: ignore[type-arg]
    """Return a function that takes one step with Adam, on images that are drawn once."""
    optimizer = torch.optim.Adam(model.parameters())

    def take(images: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss(model(lay_out(images)), labels).backward()
        optimizer.step()

    return take


def main(world: World, batch: int, steps: int, dtype: str) -> None:
    """Time both networks, and print the table on rank 0."""
    torch.set_num_threads(1)
    images, model, loss = distributed_lenet5(Grid(world, rows=2, cols=2), dtype)
    distributed = step(model, loss, images.from_global)
    alone = sequential_lenet5().to(getattr(torch, dtype))
    sequential = step(alone, torch.nn.functional.cross_entropy, lambda x: x)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((batch, 1, 28, 28), generator=generator).to(getattr(torch, dtype))
    labels = torch.randint(10, (batch,), generator=generator)

    def timed(take: Callable[[torch.Tensor, torch.Tensor], None]) -> float:
        world.allgather(None, "benchmark")
        start = time.perf_counter()
        take(x, labels)
        world.allgather(None, "benchmark")
        return 1e3 * (time.perf_counter() - start)

    nothing = lambda *_: None  # noqa: E731  (what the other ranks do while the sequential network takes its step)
    pairs = [(timed(distributed), timed(sequential if world.rank == 0 else nothing)) for _ in range(steps + 3)][3:]
    if world.rank == 0:
        d, s = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{batch:>6} {dtype:>8} {d:>16.1f} {s:>16.1f} {ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--steps", type=int, default=30, help="of each network, after three to warm up")
    options = parser.parse_args()
    if not under_mpi() or world().rank == 0:
        print("medians of a training step of LeNet-5 on 4 ranks\n")
        print(f"{'batch':>6} {'dtype':>8} {'distributed, ms':>16} {'sequential, ms':>16} {'ratio':>8}", flush=True)
    for size in (16, 64, 256):
        for precision in ("float32", "float64"):
            if under_mpi():
                main(world(), size, options.steps, precision)
            else:
                simulate(4, lambda w, size=size, precision=precision: main(w, size, options.steps, precision))
