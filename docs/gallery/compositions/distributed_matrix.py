"""
DistributedMatrix
=================

Blocks of a matrix on a grid of two by two ranks. The argument lies along the columns of ranks, the result along the
rows.
"""

import numpy as np

from distdl_ops import At, DistributedMatrix, DistributedSpace, Grid, Split, plot_matrix, simulate

W = np.cos(np.arange(6.0)[:, None] * np.arange(8.0))


def main(world):
    grid = Grid(world, rows=2, cols=2)
    X = DistributedSpace(grid, (8,), rows=At(0), cols=Split(0))
    Y = DistributedSpace(grid, (6,), rows=Split(0), cols=At(0))
    return plot_matrix(DistributedMatrix(W, X, Y))


figure = simulate(4, main)[0]
