"""
TransformerEncoderLayer
=======================

A layer of a transformer, with sequences split along one axis of the grid, and heads and features along the other.
"""

import torch
from pictures import side_by_side

from distdl_ops import DistributedSpace, Grid, Replicated, Split, simulate
from torch_bridge import nn


def main(world):
    x = DistributedSpace(Grid(world, s=2, p=2), (24, 8), s=Split(0), p=Replicated())
    layer = nn.TransformerEncoderLayer(8, 2, 32, 0.0, domain=x, model_axis="p")
    waves = torch.sin(torch.arange(24.0, dtype=torch.float64)[:, None] / torch.arange(1, 9))
    y = layer.codomain.to_global(layer(x.from_global(waves)).detach())
    weight, space = (found(layer)["linear1.weight"] for found in (nn.gather_state, nn.parameter_spaces))
    return ("x", waves, x), ("linear1.weight", weight, space), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
