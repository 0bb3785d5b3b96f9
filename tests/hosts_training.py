"""Trains LeNet-5 on whatever ranks there are, and saves it after each step: ``hosts_training.py FOLDER STEPS``.

A program that is started again goes on from the last whole checkpoint, on as many ranks as there are then.
"""

import sys
from pathlib import Path

import torch
from lenet5 import lenet5
from torch.nn.functional import cross_entropy

import distdl_ops
from distdl_ops import Grid, Split
from torch_bridge import distribute, distribute_tensor, load_checkpoint, save_checkpoint

BATCH = 8


def main(folder: Path, steps: int) -> None:
    """Train for so many steps in all."""
    world = distdl_ops.world()
    grid = Grid(world, rows=world.size)
    torch.manual_seed(0)
    model = distribute(lenet5().double(), grid, {"linear1.*": {"rows": Split(0)}})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    saved = [int(path.name) for path in folder.iterdir() if (path / ".metadata").exists()]
    world.allgather(0, "all have looked")  # before anybody saves
    first = 0
    if saved:
        first = load_checkpoint(folder / str(max(saved)), model, optimizer)["step"]
    for step in range(first, steps):
        draw = torch.Generator().manual_seed(step)
        images = torch.randn(BATCH, 1, 28, 28, generator=draw, dtype=torch.float64)
        digits = torch.randint(10, (BATCH,), generator=draw)
        optimizer.zero_grad()
        scores = model(distribute_tensor(images, grid, rows=Split(2)))
        loss = cross_entropy(scores, distribute_tensor(digits, grid))
        loss.backward()
        optimizer.step()
        save_checkpoint(folder / str(step + 1), model, optimizer, extra={"step": step + 1})
        if world.rank == 0:
            print(f"step {step + 1} of {world.size} ranks: {loss.item():.12e}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
