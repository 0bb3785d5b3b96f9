"""
DCT
===

Each row is a cosine.
"""

from linop import DCT, Euclidean, plot_matrix

figure = plot_matrix(DCT(Euclidean(12))).figure
