"""
DistributedConvolution
======================

The correlation with the mirrored kernel. With all results, there are more of these than entries.
"""

from distdl_ops import DistributedConvolution, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedConvolution(S, [1.0, 0.5, 0.25], padding="full"))


figure = simulate(3, main)[0]
