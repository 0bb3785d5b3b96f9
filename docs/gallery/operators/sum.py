"""
Sum
===

The sum of operators.
"""

from linop import CumulativeSum, Euclidean, FiniteDifference, plot_matrix

D = FiniteDifference(Euclidean(6), boundary="edge")
figure = plot_matrix(D + CumulativeSum(D.domain)).figure
