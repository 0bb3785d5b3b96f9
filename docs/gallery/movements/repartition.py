"""
Repartition
===========

From one partition into intervals to another. Entries that stay where they are do not move.
"""

from distdl_ops import DistributedSpace, Grid, Repartition, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    A = Repartition(S, S.with_roles(p=Split(0, [(0, 1), (1, 2), (2, 4), (4, 8)])))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
