"""
Windows
=======

One window below the other. The adjoint overlaps and adds.
"""

import numpy as np

from linop import Euclidean, Windows, plot_matrix

figure = plot_matrix(Windows(Euclidean(12), 4, 2, taper=np.sin(np.pi * (np.arange(4) + 0.5) / 4))).figure
