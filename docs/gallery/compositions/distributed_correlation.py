"""
DistributedCorrelation
======================

Sums of neighbours, weighed: each rank's part is a local correlation, after a halo exchange.
"""

from distdl_ops import DistributedCorrelation, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedCorrelation(S, [1.0, -2.0, 1.0], padding=1))


figure = simulate(3, main)[0]
