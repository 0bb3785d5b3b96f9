"""
Conjugation
===========

Conjugates of complex entries. It is linear over the real numbers: of their real and imaginary parts, the latter
change their signs.
"""

from linop import Conjugation, Euclidean, plot_matrix

X = Euclidean(4, complex, field="real")
figure = plot_matrix(Conjugation(X)).figure
