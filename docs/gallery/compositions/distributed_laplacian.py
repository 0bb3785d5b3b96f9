"""
DistributedLaplacian
====================

Second differences, across ranks as well.
"""

from distdl_ops import DistributedLaplacian, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedLaplacian(S))


figure = simulate(3, main)[0]
