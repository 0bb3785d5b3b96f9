"""
Scatter
=======

From one rank, an interval to each. The adjoint is the gather.
"""

from distdl_ops import At, DistributedSpace, Grid, Scatter, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=At(0))
    A = Scatter(S, S.with_roles(p=Split(0)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
