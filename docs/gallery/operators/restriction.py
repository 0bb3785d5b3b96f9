"""
Restriction
===========

Some of the entries, by an index as of NumPy. The adjoint puts them back, with zeros between them.
"""

import numpy as np

from linop import Euclidean, Restriction, plot_matrix

figure = plot_matrix(Restriction(Euclidean(12), np.s_[1::3])).figure
