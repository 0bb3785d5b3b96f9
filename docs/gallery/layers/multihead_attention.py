"""
MultiheadAttention
==================

Each entry of a sequence looks at itself and what came before. The sequence is split; keys and values travel round a
ring of ranks.
"""

import torch
from pictures import side_by_side

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    x = DistributedSpace(Grid(world, p=4), (24, 8), p=Split(0))
    layer = nn.MultiheadAttention(8, 2, domain=x, ring_axis="p")
    waves = torch.sin(torch.arange(24.0, dtype=torch.float64)[:, None] / torch.arange(1, 9))
    part = x.from_global(waves)
    y, _ = layer(part, part, part, is_causal=True)
    return ("x", waves, x), ("y", layer.codomain.to_global(y.detach()), layer.codomain)


figure = side_by_side(*simulate(4, main)[0])
