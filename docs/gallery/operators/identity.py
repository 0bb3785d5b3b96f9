"""
Identity
========

Every vector to itself.
"""

from linop import Euclidean, Identity, plot_matrix

figure = plot_matrix(Identity(Euclidean(6))).figure
