"""
Move
====

From one rank to another. The adjoint moves back.
"""

from distdl_ops import At, DistributedSpace, Grid, Move, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=At(0))
    A = Move(S, S.with_roles(p=At(2)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
