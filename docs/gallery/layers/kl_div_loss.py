"""
KLDivLoss
=========

The divergence of Kullback and Leibler: of the logarithm of a probability from the target, which is one half here.
"""

import torch
from pictures import by_rank

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    entries = DistributedSpace(Grid(world, p=4), (40,), p=Split(0))
    x = entries.from_global(torch.linspace(-3, 3, 40)).requires_grad_()
    losses = nn.KLDivLoss(reduction="none", domain=entries)(x, torch.full((10,), 0.5))
    losses.sum().backward()
    return (x.detach(), losses.detach()), (x.detach(), x.grad)


losses, gradients = zip(*simulate(4, main), strict=True)
figure = by_rank(("loss of each entry", losses), ("its gradient", gradients))
