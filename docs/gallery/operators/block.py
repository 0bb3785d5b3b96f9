"""
Block
=====

Rows of operators, from tuples to tuples.
"""

from linop import Block, Correlation, CumulativeSum, Euclidean, Identity, plot_matrix

X = Euclidean(5)
D, S = Correlation(X, [-1.0, 1.0], padding="same"), CumulativeSum(X)
figure = plot_matrix(Block([[D, Identity(X)], [None, S]])).figure
