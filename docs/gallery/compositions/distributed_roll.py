"""
DistributedRoll
===============

A periodic shift. What leaves one rank comes to the next.
"""

from distdl_ops import DistributedRoll, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedRoll(S, 2))


figure = simulate(3, main)[0]
