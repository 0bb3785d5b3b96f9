"""
Convolution
===========

The correlation with the mirrored kernel. With all results, there are more of these than entries.
"""

from linop import Convolution, Euclidean, plot_matrix

figure = plot_matrix(Convolution(Euclidean(10), [1.0, 0.5, 0.25], padding="full")).figure
