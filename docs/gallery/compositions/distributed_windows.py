"""
DistributedWindows
==================

Overlapping windows with a taper, three ranks' one below the other. Those near the end of a part need a halo.
"""

from distdl_ops import DistributedSpace, DistributedWindows, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (12,), p=Split(0))
    return plot_matrix(DistributedWindows(S, 4, 2, taper=[0.5, 1.0, 1.0, 0.5]))


figure = simulate(3, main)[0]
