"""
HStack
======

The sum of several operators, each of its own part of a tuple.
"""

from linop import Correlation, CumulativeSum, Euclidean, HStack, plot_matrix

X = Euclidean(5)
D, S = Correlation(X, [-1.0, 1.0], padding="same"), CumulativeSum(X)
figure = plot_matrix(HStack(D, S)).figure
