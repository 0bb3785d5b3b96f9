"""
Gradient
========

One derivative for each axis, one below the other.
"""

from linop import Euclidean, Gradient, plot_matrix

figure = plot_matrix(Gradient(Euclidean((4, 4)))).figure
