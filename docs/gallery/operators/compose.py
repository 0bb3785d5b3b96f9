"""
Compose
=======

The product of operators: differences of differences.
"""

from linop import Euclidean, FiniteDifference, plot_matrix

D = FiniteDifference(Euclidean(6), boundary="edge")
figure = plot_matrix(D.H @ D).figure
