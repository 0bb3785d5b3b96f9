"""
Gather
======

Intervals to one rank. The adjoint is the scatter.
"""

from distdl_ops import At, DistributedSpace, Gather, Grid, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    A = Gather(S, S.with_roles(p=At(0)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
