"""
Toeplitz
========

A matrix with constant diagonals, by its first column and row.
"""

import numpy as np

from linop import Toeplitz, plot_matrix

figure = plot_matrix(Toeplitz(-np.exp(-np.arange(8.0) / 4), np.exp(-np.arange(10.0) / 2))).figure
