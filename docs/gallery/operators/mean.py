"""
Mean
====

Means over some of the axes.
"""

from linop import Euclidean, Mean, plot_matrix

figure = plot_matrix(Mean(Euclidean((4, 3)), axes=1)).figure
