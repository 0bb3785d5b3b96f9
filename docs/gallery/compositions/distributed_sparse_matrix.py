"""
DistributedSparseMatrix
=======================

Each rank has four rows, and finds by itself which entries of others it needs.
"""

import scipy.sparse

from distdl_ops import DistributedSpace, DistributedSparseMatrix, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=2), (8,), p=Split(0))
    rows = scipy.sparse.random_array((4, 8), density=0.3, rng=world.rank)
    return plot_matrix(DistributedSparseMatrix(rows.tocsr(), S))


figure = simulate(2, main)[0]
