"""
CrossEntropyLoss
================

Twenty classes on four ranks: each has the scores of five, and their gradients. Nothing but sums over the classes
crosses ranks.
"""

import torch
from pictures import by_rank

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    classes = DistributedSpace(Grid(world, p=4), (20,), "float32", p=Split(0))
    scores = classes.from_global(torch.sin(torch.arange(20.0))).requires_grad_()
    nn.CrossEntropyLoss(domain=classes)(scores, torch.tensor(7)).backward()
    here = range(5 * world.rank, 5 * world.rank + 5)
    return (here, scores.detach()), (here, scores.grad)


scores, gradients = zip(*simulate(4, main), strict=True)
figure = by_rank(("scores", scores), ("gradient, target 7", gradients))
