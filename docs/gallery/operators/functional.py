"""
Functional
==========

The pairing with a vector: to one number.
"""

import numpy as np

from linop import Functional, plot_matrix

figure = plot_matrix(Functional(np.sin(np.arange(12.0)))).figure
