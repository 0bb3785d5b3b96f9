"""
AllReduce
=========

Copies to their sum: one vector, which all ranks store. The adjoint is a copy, without communication.
"""

from distdl_ops import AllReduce, Copies, DistributedSpace, Grid, Replicated, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Copies())
    A = AllReduce(S, S.with_roles(p=Replicated()))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
