"""
Conv1d, Conv2d, Conv3d
======================

Convolutions: here the Laplacian, of an image in blocks. Each rank gets the rows and columns beside its block from its
neighbours.
"""

import torch
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, rows=2, cols=2), (1, 48, 48), rows=Split(1), cols=Split(2))
    layer = nn.Conv2d(1, 1, 3, padding="same", padding_mode="replicate", bias=False, domain=images)
    layer.weight.data[:] = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    x = torch.from_numpy(zone_plate(48))[None]
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
