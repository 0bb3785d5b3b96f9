"""
Dropout
=======

In training, entries become zero at random, and the others grow. Each rank draws numbers of its own.
"""

import torch
from pictures import side_by_side

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, rows=2, cols=2), (1, 32, 32), rows=Split(1), cols=Split(2))
    layer = nn.Dropout(0.3, domain=images)
    x = torch.ones(1, 32, 32)
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
