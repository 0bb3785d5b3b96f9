"""
NLLLoss
=======

Twenty classes on four ranks, whose logarithms of probabilities are given: the loss picks that of the target, and so
does its gradient.
"""

import torch
from pictures import by_rank

from distdl_ops import DistributedSpace, Grid, Split, simulate
from torch_bridge import nn


def main(world):
    classes = DistributedSpace(Grid(world, p=4), (20,), "float32", p=Split(0))
    scores = classes.from_global(torch.log_softmax(torch.sin(torch.arange(20.0)), 0)).requires_grad_()
    nn.NLLLoss(domain=classes)(scores, torch.tensor(7)).backward()
    here = range(5 * world.rank, 5 * world.rank + 5)
    return (here, scores.detach()), (here, scores.grad)


scores, gradients = zip(*simulate(4, main), strict=True)
figure = by_rank(("logarithms of probabilities", scores), ("gradient, target 7", gradients))
