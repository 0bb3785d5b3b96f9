"""
Adjoint
=======

What every operator has: ``A.H`` is its adjoint, here of differences.
"""

from linop import Euclidean, FiniteDifference, plot_matrix

D = FiniteDifference(Euclidean(6), boundary="edge")
figure = plot_matrix(D.H).figure
