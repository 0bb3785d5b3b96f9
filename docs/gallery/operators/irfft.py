"""
IRFFT
=====

The way back from half a spectrum: all but the first and the last of its entries count twice. There and back is the
identity.
"""

from linop import IRFFT, RFFT, Euclidean, plot_matrix

F = RFFT(Euclidean(12))
figure = plot_matrix(IRFFT(F.codomain, 12) @ F).figure
