"""
Reweight
========

The identity on coordinates between spaces of different weights. Its adjoint for the inner products, shown here, is
not.
"""

from linop import Euclidean, Reweight, Weighted, plot_matrix

X = Weighted(Euclidean(6), [1.0, 1.0, 2.0, 2.0, 4.0, 4.0])
figure = plot_matrix(Reweight(Euclidean(6), X).H).figure
