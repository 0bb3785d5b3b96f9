"""
DistributedDirectionalDerivative
================================

The derivative along a field of directions: here, it grows from left to right.
"""

from distdl_ops import DistributedDirectionalDerivative, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedDirectionalDerivative(S, [[0.1 * k for k in range(12)]]))


figure = simulate(3, main)[0]
