"""
NonStationaryConvolution
========================

Column k holds the kernel at entry k.
"""

from linop import Euclidean, NonStationaryConvolution, plot_matrix

figure = plot_matrix(NonStationaryConvolution(Euclidean(16), [[0.0, 0, 1, 0, 0], [1.0, 2, 3, 2, 1]], [2, 13])).figure
