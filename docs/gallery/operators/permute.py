"""
Permute
=======

Another order of axes. A permutation of the entries, so its adjoint is its inverse.
"""

from linop import Euclidean, Permute, plot_matrix

figure = plot_matrix(Permute(Euclidean((3, 4)), (1, 0))).figure
