"""
Smoothing
=========

A running mean; the entries at the ends count more often.
"""

from linop import Euclidean, Smoothing, plot_matrix

figure = plot_matrix(Smoothing(Euclidean(12), 5)).figure
