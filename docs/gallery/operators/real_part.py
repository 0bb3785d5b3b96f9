"""
RealPart
========

The real parts of complex entries, as a linear map over the real numbers.
"""

from linop import Euclidean, RealPart, plot_matrix

X = Euclidean(4, complex, field="real")
figure = plot_matrix(RealPart(X)).figure
