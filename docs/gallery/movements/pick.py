"""
Pick
====

Of one vector that all ranks store, one of them keeps it. Nothing is sent; the adjoint is a broadcast.
"""

from distdl_ops import At, DistributedSpace, Grid, Pick, Replicated, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Replicated())
    A = Pick(S, S.with_roles(p=At(0)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
