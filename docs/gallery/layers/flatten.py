"""
Flatten
=======

An image in blocks becomes one axis. Blocks are no intervals of it: the image is moved to rows first.
"""

import torch
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, rows=2, cols=2), (2, 8, 8), rows=Split(1), cols=Split(2))
    layer = nn.Flatten(domain=images)
    x = torch.from_numpy(zone_plate(8)).repeat(2, 1, 1)
    y = layer.codomain.to_global(layer(images.from_global(x[None]))[0].detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
