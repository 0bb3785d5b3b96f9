"""
DistributedNonStationaryConvolution
===================================

A kernel that becomes wider from the first entry to the last.
"""

from distdl_ops import DistributedNonStationaryConvolution, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedNonStationaryConvolution(S, [[0, 0, 1, 0, 0], [1, 1, 1, 1, 1]], [0, 11]))


figure = simulate(3, main)[0]
