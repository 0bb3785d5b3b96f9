"""
Flip
====

Its own inverse and adjoint: a unit matrix, read upwards.
"""

from linop import Euclidean, Flip, plot_matrix

figure = plot_matrix(Flip(Euclidean(8))).figure
