"""
PrefixSum
=========

To each rank the sum of the copies up to its own. The adjoint adds up from the other end.
"""

from distdl_ops import Copies, DistributedSpace, Grid, PrefixSum, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (2,), p=Copies())
    return plot_matrix(PrefixSum(S, "p"))


figure = simulate(4, main)[0]
