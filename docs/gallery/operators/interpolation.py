"""
Interpolation
=============

Values on a grid to values at points between: sums of a few neighbours, weighed.
"""

import numpy as np

from linop import Euclidean, Interpolation, plot_matrix

figure = plot_matrix(Interpolation(Euclidean(8), np.linspace(0.3, 6.7, 12)[:, None])).figure
