"""
Embedding
=========

Rows of a table, by their numbers. Each of four ranks has a quarter of the rows; the results are added up.
"""

import torch
from pictures import side_by_side

from distdl_ops import DistributedSpace, Grid, Replicated, simulate
from torch_bridge import nn


def main(world):
    indices = DistributedSpace(Grid(world, p=4), (6,), p=Replicated())
    layer = nn.Embedding(12, 8, domain=indices, row_axis="p")
    y = layer(torch.tensor([0, 11, 5, 5, 6, 0])).detach()
    table = nn.gather_state(layer)["weight"]
    return ("table", table, layer.parameter_spaces["weight"]), ("rows 0, 11, 5, 5, 6, 0", y, layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
