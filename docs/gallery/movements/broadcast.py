"""
Broadcast
=========

From one rank to copies on all of them. The adjoint is the sum-reduce: what has become of the copies is added. So
there and back, each number comes home four times.
"""

from distdl_ops import At, Broadcast, Copies, DistributedSpace, Grid, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=At(0))
    A = Broadcast(S, S.with_roles(p=Copies()))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
