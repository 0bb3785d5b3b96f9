"""
Zero
====

Every vector to zero.
"""

from linop import Euclidean, Zero, plot_matrix

figure = plot_matrix(Zero(Euclidean(6), Euclidean(4))).figure
