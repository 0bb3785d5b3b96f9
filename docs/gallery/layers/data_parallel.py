"""
DataParallel
============

Each rank has samples of its own, all have one line: its slope and intercept are one vector, which all store. The
gradients of all ranks are summed.
"""

import torch
from pictures import by_rank

from distdl_ops import Grid, simulate
from torch_bridge import nn


def main(world):
    model = nn.DataParallel(torch.nn.Linear(1, 1), grid=Grid(world, p=4))
    x = torch.linspace(world.rank, world.rank + 1, 20)[:, None]
    y = torch.sin(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.002)
    for _ in range(15):
        optimizer.zero_grad()
        (model(x) - y).square().sum().backward()
        optimizer.step()
    return (x, y), (x, model(x).detach())


samples, line = zip(*simulate(4, main), strict=True)
figure = by_rank(("samples", samples), ("the line of all", line))
