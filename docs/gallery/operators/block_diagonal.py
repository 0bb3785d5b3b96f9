"""
BlockDiagonal
=============

An operator for each part of a tuple.
"""

from linop import BlockDiagonal, Correlation, CumulativeSum, Euclidean, plot_matrix

figure = plot_matrix(BlockDiagonal(CumulativeSum(Euclidean(4)), Correlation(Euclidean(5), [-1.0, 1.0]))).figure
