"""
DistributedGradient
===================

One derivative for each axis of the tensor, one below the other.
"""

from distdl_ops import DistributedGradient, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=2), (4, 4), p=Split(0))
    return plot_matrix(DistributedGradient(S))


figure = simulate(2, main)[0]
