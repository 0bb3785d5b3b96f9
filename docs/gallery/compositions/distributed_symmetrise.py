"""
DistributedSymmetrise
=====================

The mirror image, put before the tensor. Its adjoint adds both halves.
"""

from distdl_ops import DistributedSpace, DistributedSymmetrise, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (8,), p=Split(0))
    return plot_matrix(DistributedSymmetrise(S))


figure = simulate(3, main)[0]
