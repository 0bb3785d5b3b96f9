"""
Local
=====

An operator of its own on each rank: a block diagonal matrix, without communication. Here, the differences that each
rank can form alone.
"""

from distdl_ops import DistributedSpace, Grid, Local, Split, plot_matrix, simulate
from linop import Euclidean, FiniteDifference


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    return plot_matrix(Local(S, S, FiniteDifference(Euclidean(S.shape), boundary="edge")))


figure = simulate(4, main)[0]
