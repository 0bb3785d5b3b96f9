"""
Laplacian
=========

The five-point stencil.
"""

from linop import Euclidean, Laplacian, plot_matrix

figure = plot_matrix(Laplacian(Euclidean((4, 4)))).figure
