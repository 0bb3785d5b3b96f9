"""
SumReduce
=========

Copies to their sum, on one rank. The adjoint is the broadcast.
"""

from distdl_ops import At, Copies, DistributedSpace, Grid, SumReduce, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Copies())
    A = SumReduce(S, S.with_roles(p=At(0)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
