"""
UnevenAllToAll
==============

Rank 0 keeps one row and gives three away, rank 1 gives away all it has: a permutation.
"""

from distdl_ops import DistributedSpace, Grid, Split, UnevenAllToAll, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=2), (8,), p=Split(0))
    return plot_matrix(UnevenAllToAll(S, [1, 3] if world.rank == 0 else [4, 0]))


figure = simulate(2, main)[0]
