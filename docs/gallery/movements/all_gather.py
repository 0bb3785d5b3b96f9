"""
AllGather
=========

Intervals to copies of the whole. The adjoint is the reduce-scatter: each rank gets its interval of the sum of the
copies.
"""

from distdl_ops import AllGather, Copies, DistributedSpace, Grid, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    A = AllGather(S, S.with_roles(p=Copies()))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
