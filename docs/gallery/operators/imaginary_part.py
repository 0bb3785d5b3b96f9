"""
ImaginaryPart
=============

The imaginary parts of complex entries, as a linear map over the real numbers.
"""

from linop import Euclidean, ImaginaryPart, plot_matrix

X = Euclidean(4, complex, field="real")
figure = plot_matrix(ImaginaryPart(X)).figure
