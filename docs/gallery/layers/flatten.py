"""
Flatten
=======

Images with four channels are split in rows; flattened, each rank has whole channels, and their pixels stay together.
"""

import torch
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, rows=2), (4, 8, 8), rows=Split(1))
    layer = nn.Flatten(domain=images)
    x = torch.arange(4.0)[:, None, None] + torch.from_numpy(zone_plate(8)) / 4
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(2, main)[0])
