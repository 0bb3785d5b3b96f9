"""
Symmetrise
==========

The adjoint adds both halves.
"""

from linop import Euclidean, Symmetrise, plot_matrix

figure = plot_matrix(Symmetrise(Euclidean(6))).figure
