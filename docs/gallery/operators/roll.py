"""
Roll
====

A permutation matrix: what leaves at one end comes in at the other.
"""

from linop import Euclidean, Roll, plot_matrix

figure = plot_matrix(Roll(Euclidean(8), 3)).figure
