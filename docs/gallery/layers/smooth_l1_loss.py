"""
SmoothL1Loss
============

A square near the target, which is zero here, a modulus far from it: the loss of Huber, divided by its threshold.
"""

import torch
from pictures import by_rank

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    entries = DistributedSpace(Grid(world, p=4), (40,), p=Split(0))
    x = entries.from_global(torch.linspace(-3, 3, 40)).requires_grad_()
    losses = nn.SmoothL1Loss(reduction="none", beta=1.5, domain=entries)(x, torch.zeros(10))
    losses.sum().backward()
    return (x.detach(), losses.detach()), (x.detach(), x.grad)


losses, gradients = zip(*simulate(4, main), strict=True)
figure = by_rank(("loss of each entry", losses), ("its gradient", gradients))
