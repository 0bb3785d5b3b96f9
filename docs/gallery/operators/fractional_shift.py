"""
FractionalShift
===============

The trigonometric interpolation between entries, moved.
"""

from linop import Euclidean, FractionalShift, plot_matrix

figure = plot_matrix(FractionalShift(Euclidean(12), 2.5)).figure
