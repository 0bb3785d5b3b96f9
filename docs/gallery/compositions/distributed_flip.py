"""
DistributedFlip
===============

The opposite order: the first rank has what the last one had, turned around.
"""

from distdl_ops import DistributedFlip, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedFlip(S))


figure = simulate(3, main)[0]
