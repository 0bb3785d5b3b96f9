"""
Resampling
==========

Another number of entries along each axis, between the same end points.
"""

from linop import Euclidean, Resampling, plot_matrix

figure = plot_matrix(Resampling(Euclidean(8), 15)).figure
