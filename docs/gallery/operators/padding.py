"""
Padding
=======

Entries before the first and after the last: here, those that a mirror shows. The adjoint adds them to what they
mirror.
"""

from linop import Euclidean, Padding, plot_matrix

figure = plot_matrix(Padding(Euclidean(6), (2, 2), boundary="reflect")).figure
