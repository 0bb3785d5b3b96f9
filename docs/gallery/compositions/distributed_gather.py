"""
DistributedGather
=================

Entries at any indices, each rank its own, some of them twice. The adjoint adds up.
"""

from distdl_ops import DistributedGather, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=2), (8,), p=Split(0))
    return plot_matrix(DistributedGather(S, [7, 0, 0, 3] if world.rank == 0 else [4, 7, 2]))


figure = simulate(2, main)[0]
