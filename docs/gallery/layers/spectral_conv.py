"""
SpectralConv1d, SpectralConv2d, SpectralConv3d, SequentialSpectralConv
======================================================================

Low frequencies of an image in blocks, each with a weight. Here all weights are one: what is left is a low-pass.
"""

import torch
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, rows=2, cols=2), (1, 48, 48), rows=Split(1), cols=Split(2))
    layer = nn.SpectralConv2d(1, 1, 6, domain=images)
    layer.weight.data[:] = torch.tensor([1.0, 0.0])
    x = torch.from_numpy(zone_plate(48))[None]
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
