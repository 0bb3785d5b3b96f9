"""
DistributedDiagonal
===================

Each entry times a number of its own, wherever it lies. It is its own adjoint.
"""

import numpy as np

from distdl_ops import DistributedDiagonal, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    return plot_matrix(DistributedDiagonal(np.linspace(-1, 1, 8), S))


figure = simulate(4, main)[0]
