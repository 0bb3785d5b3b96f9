"""
Slice
=====

Of one vector that all ranks store, each keeps an interval. Nothing is sent; the adjoint is an all-gather.
"""

from distdl_ops import DistributedSpace, Grid, Replicated, Slice, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Replicated())
    A = Slice(S, S.with_roles(p=Split(0)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
