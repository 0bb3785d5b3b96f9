"""
DistributedFiniteDifference
===========================

The derivative along an axis: differences of neighbours, across ranks as well.
"""

from distdl_ops import DistributedFiniteDifference, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    return plot_matrix(DistributedFiniteDifference(S, boundary="zero"))


figure = simulate(4, main)[0]
