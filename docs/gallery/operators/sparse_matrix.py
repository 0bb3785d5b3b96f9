"""
SparseMatrix
============

A matrix of few entries that are not zero, kept as one of scipy's.
"""

from scipy.sparse import random_array

from linop import SparseMatrix, plot_matrix

figure = plot_matrix(SparseMatrix(random_array((10, 14), density=0.15, rng=0))).figure
