"""
Inverse
=======

The inverse of an operator, by an iterative solver where no rule is known. That of a matrix of three diagonals has no
zeros.
"""

from linop import Correlation, Euclidean, Identity, inverse, plot_matrix

X = Euclidean(8)
figure = plot_matrix(inverse(2.5 * Identity(X) - Correlation(X, [1.0, 0.0, 1.0], padding="same"))).figure
