"""
Upsample
========

Interpolation to another size, in all of torch's modes.
"""

import torch
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, rows=2, cols=2), (1, 16, 16), rows=Split(1), cols=Split(2))
    layer = nn.Upsample(scale_factor=3.5, mode="bicubic", domain=images)
    x = torch.from_numpy(zone_plate(16))[None]
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
