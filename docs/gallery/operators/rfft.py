"""
RFFT
====

The Fourier transform of real arrays, as half a spectrum. Again the real parts: cosines.
"""

from linop import RFFT, Euclidean, RealPart, plot_matrix

F = RFFT(Euclidean(16))
figure = plot_matrix(RealPart(F.codomain) @ F).figure
