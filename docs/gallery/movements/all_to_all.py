"""
AllToAll
========

From split rows to split columns: each rank sends a block to every other. The adjoint is the way back.
"""

from distdl_ops import AllToAll, DistributedSpace, Grid, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (4, 4), p=Split(0))
    A = AllToAll(S, S.with_roles(p=Split(1)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
