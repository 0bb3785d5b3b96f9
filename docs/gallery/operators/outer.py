"""
Outer
=====

The pairing with one vector, times another: a matrix of rank one.
"""

import numpy as np

from linop import Outer, plot_matrix

figure = plot_matrix(Outer(np.sin(np.arange(8.0)), np.cos(np.arange(10.0)))).figure
