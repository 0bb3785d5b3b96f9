"""
SumAxes
=======

Sums over some of the axes. The adjoint repeats each sum along them.
"""

from linop import Euclidean, SumAxes, plot_matrix

figure = plot_matrix(SumAxes(Euclidean((4, 3)), axes=0)).figure
