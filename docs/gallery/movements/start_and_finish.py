"""
Start, Finish
=============

A movement in two halves, between which other work goes on. The tensor is in flight meanwhile. The adjoint of the
start is the finish of the movement back.
"""

from distdl_ops import Copies, DistributedSpace, Finish, Grid, Split, Start, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    T = S.with_roles(p=Copies())
    return plot_matrix(Finish(S, T) @ Start(S, T))


figure = simulate(4, main)[0]
