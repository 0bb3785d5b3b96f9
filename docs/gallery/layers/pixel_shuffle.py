"""
PixelShuffle
============

Channels into space: of four channels, one after the other becomes every second pixel of every second row.
"""

import torch
from pictures import side_by_side

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, cols=2), (4, 16, 16), cols=Split(2))
    layer = nn.PixelShuffle(2, domain=images)
    x = torch.arange(4.0)[:, None, None].expand(4, 16, 16)
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(2, main)[0])
