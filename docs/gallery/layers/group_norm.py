"""
GroupNorm
=========

Two groups of two channels, of each of two samples, are freed of their mean and scaled to variance one.
"""

import torch
from pictures import side_by_side

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    signals = DistributedSpace(Grid(world, p=4), (4, 64), p=Split(1))
    layer = nn.GroupNorm(2, 4, domain=signals)
    x = torch.arange(1.0, 9.0).reshape(2, 4, 1) * (2 + torch.sin(torch.arange(64.0) / 3))
    y = layer.codomain.to_global(layer(signals.from_global(x)).detach())
    return ("x", x, signals), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
