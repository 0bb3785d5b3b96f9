"""
FiniteDifference
================

The derivative along an axis, by differences: here the second one, of arrays that go on with zeros.
"""

from linop import Euclidean, FiniteDifference, plot_matrix

figure = plot_matrix(FiniteDifference(Euclidean(10), order=2, scheme="central", boundary="zero")).figure
