"""
FFT
===

The discrete Fourier transform. Its entries have one modulus; their real parts are cosines.
"""

from linop import FFT, Euclidean, RealPart, plot_matrix

F = FFT(Euclidean(16, complex, field="real"))
figure = plot_matrix(RealPart(F.codomain) @ F).figure
