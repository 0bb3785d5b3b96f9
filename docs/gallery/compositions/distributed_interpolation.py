"""
DistributedInterpolation
========================

Two entries in each row: what a point has of the nodes beside it, wherever they lie.
"""

from distdl_ops import DistributedInterpolation, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=2), (8,), p=Split(0))
    points = [[0.5], [3.25], [6.0]] if world.rank == 0 else [[1.75], [4.5]]
    return plot_matrix(DistributedInterpolation(S, points))


figure = simulate(2, main)[0]
