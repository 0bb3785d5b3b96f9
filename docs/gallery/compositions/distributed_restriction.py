"""
DistributedRestriction
======================

Some of the entries, each where it lies. The adjoint puts them back, with zeros between them.
"""

import numpy as np

from distdl_ops import DistributedRestriction, DistributedSpace, Grid, Split, plot_matrix, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (12,), p=Split(0))
    return plot_matrix(DistributedRestriction(S, np.s_[::2]))


figure = simulate(4, main)[0]
