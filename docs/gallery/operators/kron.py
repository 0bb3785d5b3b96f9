"""
Kron
====

The tensor product: an operator for each axis of a tensor.
"""

from linop import Correlation, CumulativeSum, Euclidean, Kron, plot_matrix

figure = plot_matrix(Kron(CumulativeSum(Euclidean(3)), Correlation(Euclidean(4), [-1.0, 1.0]))).figure
