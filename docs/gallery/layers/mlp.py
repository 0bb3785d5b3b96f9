"""
MLP
===

A perceptron, tensor parallel: what is between its two linear layers lies on all ranks, and never moves.
"""

import torch
from pictures import side_by_side

from distdl_ops import DistributedSpace, Grid, Replicated, simulate
from torch_bridge import nn


def main(world):
    x = DistributedSpace(Grid(world, p=4), (8, 6), p=Replicated())
    layer = nn.MLP(6, [24, 6], domain=x, axis="p")
    whole = torch.eye(8, 6, dtype=torch.float64)
    between = layer[0].codomain
    hidden = between.to_global(layer[0](x.from_global(whole)).detach())
    y = layer.codomain.to_global(layer(x.from_global(whole)).detach())
    return ("x", whole, x), ("between", hidden, between), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
