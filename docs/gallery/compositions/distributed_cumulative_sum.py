"""
DistributedCumulativeSum
========================

All entries up to each one, added: a running sum on each rank, and a prefix sum of the ranks' totals.
"""

from distdl_ops import DistributedCumulativeSum, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    return plot_matrix(DistributedCumulativeSum(S))


figure = simulate(4, main)[0]
