"""
Linear
======

A weight in blocks on a grid of two by two ranks. The sums over the input features go over the columns of ranks.
"""

import torch
from pictures import side_by_side

from distdl_ops import At, DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    x = DistributedSpace(Grid(world, rows=2, cols=2), (5, 12), rows=At(0), cols=Split(1))
    layer = nn.Linear(12, 8, domain=x, out_axis="rows", in_axis="cols")
    whole = torch.eye(5, 12, dtype=torch.float64)
    y = layer.codomain.to_global(layer(x.from_global(whole)).detach())
    weight = nn.gather_state(layer)["weight"]
    return ("x", whole, x), ("weight", weight, layer.parameter_spaces["weight"]), ("y", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
