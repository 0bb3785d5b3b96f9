"""
Shift
=====

Every rank's array to the next rank, around a ring. It is unitary: its adjoint, the shift back, is its inverse.
"""

from distdl_ops import DistributedSpace, Grid, Shift, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    return plot_matrix(Shift(S, 1, "p"))


figure = simulate(4, main)[0]
