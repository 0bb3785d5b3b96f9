"""
Diagonal
========

Each entry times a number of its own.
"""

import numpy as np

from linop import Diagonal, plot_matrix

figure = plot_matrix(Diagonal(np.linspace(-1, 1, 8))).figure
