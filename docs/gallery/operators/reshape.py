"""
Reshape
=======

Another shape. The coordinates stay what they are.
"""

from linop import Euclidean, Reshape, plot_matrix

figure = plot_matrix(Reshape(Euclidean((2, 3)), (3, 2))).figure
