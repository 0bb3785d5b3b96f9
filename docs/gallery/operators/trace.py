"""
Trace
=====

The sum over the diagonal of a square matrix.
"""

from linop import Euclidean, Trace, plot_matrix

figure = plot_matrix(Trace(Euclidean((4, 4)))).figure
