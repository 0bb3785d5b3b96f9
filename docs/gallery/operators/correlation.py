"""
Correlation
===========

Weighted sums of neighbours.
"""

from linop import Correlation, Euclidean, plot_matrix

figure = plot_matrix(Correlation(Euclidean(12), [1.0, -2.0, 1.0])).figure
