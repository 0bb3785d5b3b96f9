"""
AllSumReduce
============

Copies to copies of their sum. It is its own adjoint, and communicates both times.
"""

from distdl_ops import AllSumReduce, Copies, DistributedSpace, Grid, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Copies())
    A = AllSumReduce(S, S.with_roles(p=Copies()))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
