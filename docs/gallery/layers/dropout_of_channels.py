"""
Dropout1d, Dropout2d, Dropout3d
===============================

In training, whole channels become zero at random: all ranks with a part of a channel draw the same numbers.
"""

import torch
from pictures import side_by_side

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    signals = DistributedSpace(Grid(world, p=4), (16, 32), p=Split(1))
    layer = nn.Dropout1d(0.3, domain=signals)
    x = torch.ones(16, 32)
    y = layer.codomain.to_global(layer(signals.from_global(x)).detach())
    return ("x", x, signals), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
