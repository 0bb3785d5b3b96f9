"""
Circulant
=========

The convolution of periodic arrays, through the Fourier transform.
"""

import numpy as np

from linop import Circulant, plot_matrix

figure = plot_matrix(Circulant(np.exp(-np.arange(10.0)))).figure
