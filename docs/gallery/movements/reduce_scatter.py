"""
ReduceScatter
=============

Copies to intervals of their sum. The adjoint is the all-gather.
"""

from distdl_ops import Copies, DistributedSpace, Grid, ReduceScatter, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Copies())
    A = ReduceScatter(S, S.with_roles(p=Split(0)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
