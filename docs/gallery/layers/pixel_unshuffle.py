"""
PixelUnshuffle
==============

Space into channels: every second pixel of every second row becomes a channel, and there are four of them.
"""

import torch
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, cols=2), (1, 32, 32), cols=Split(2))
    layer = nn.PixelUnshuffle(2, domain=images)
    x = torch.from_numpy(zone_plate(32))[None]
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(2, main)[0])
