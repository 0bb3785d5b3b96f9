"""
Movement
========

Any layout to any other: here blocks of a matrix, on a grid of two by two ranks, to columns whose copies lie on two
ranks each. The adjoint is the movement back.
"""

from distdl_ops import Copies, DistributedSpace, Grid, Movement, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, rows=2, cols=2), (4, 4), rows=Split(0), cols=Split(1))
    A = Movement(S, S.with_roles(rows=Copies(), cols=Split(1)))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
