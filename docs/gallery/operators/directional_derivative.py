"""
DirectionalDerivative
=====================

A sum of differences along the axes, each times a component of the direction.
"""

from linop import DirectionalDerivative, Euclidean, plot_matrix

figure = plot_matrix(DirectionalDerivative(Euclidean((4, 4)), [1.0, 2.0])).figure
