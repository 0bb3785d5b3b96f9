"""
Riesz
=====

The weights of a space, as an operator: ``inner(x, y) = dot(x, R y)``.
"""

from linop import Euclidean, Weighted, plot_matrix

X = Weighted(Euclidean(6), [1.0, 1.0, 2.0, 2.0, 4.0, 4.0])
figure = plot_matrix(X.riesz).figure
