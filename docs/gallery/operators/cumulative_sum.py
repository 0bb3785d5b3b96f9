"""
CumulativeSum
=============

All entries up to each one, added. The adjoint adds up from the other end.
"""

from linop import CumulativeSum, Euclidean, plot_matrix

figure = plot_matrix(CumulativeSum(Euclidean(8))).figure
