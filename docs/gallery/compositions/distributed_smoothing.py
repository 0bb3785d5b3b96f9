"""
DistributedSmoothing
====================

Running means. Beyond the ends, the entries at the ends are repeated.
"""

from distdl_ops import DistributedSmoothing, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedSmoothing(S, 5))


figure = simulate(3, main)[0]
