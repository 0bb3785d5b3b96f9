"""
Scale
=====

A number times an operator.
"""

from linop import Euclidean, FiniteDifference, plot_matrix

D = FiniteDifference(Euclidean(6), boundary="edge")
figure = plot_matrix(-0.5 * D).figure
