"""
ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
=================================================

Transposed convolutions: each entry is spread over a window of the result. Here, the windows overlap.
"""

import torch
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    images = DistributedSpace(Grid(world, rows=2, cols=2), (1, 24, 24), rows=Split(1), cols=Split(2))
    layer = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False, domain=images)
    taps = torch.tensor([0.25, 0.75, 0.75, 0.25])
    layer.weight.data[:] = taps[:, None] * taps
    x = torch.from_numpy(zone_plate(24))[None]
    y = layer.codomain.to_global(layer(images.from_global(x)).detach())
    return ("x", x, images), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
