"""
Matrix
======

A matrix, given by its entries. The adjoint is its conjugate transpose.
"""

import numpy as np

from linop import Matrix, plot_matrix

figure = plot_matrix(Matrix(np.cos(np.arange(6.0)[:, None] * np.arange(8.0)))).figure
