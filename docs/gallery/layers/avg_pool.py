"""
AvgPool1d, AvgPool2d, AvgPool3d
===============================

The mean of each window.
"""

import torch
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, rows=2, cols=2), (1, 50, 50), rows=Split(1), cols=Split(2))
    layer = nn.AvgPool2d(5, stride=2, padding=2, count_include_pad=False, domain=images)
    x = torch.from_numpy(zone_plate(50))[None]
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
