"""
VStack
======

Several operators of one vector, as a tuple of results.
"""

from linop import Correlation, CumulativeSum, Euclidean, VStack, plot_matrix

X = Euclidean(5)
D, S = Correlation(X, [-1.0, 1.0], padding="same"), CumulativeSum(X)
figure = plot_matrix(VStack(D, S)).figure
