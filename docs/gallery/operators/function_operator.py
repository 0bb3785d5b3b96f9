"""
FunctionOperator
================

Two functions that are claimed to be an operator and its adjoint; ``check_adjoint`` says whether they are.
"""

from linop import Euclidean, FunctionOperator, plot_matrix

X = Euclidean(8)
figure = plot_matrix(FunctionOperator(X, X, lambda x: x[::-1].copy(), lambda y: y[::-1].copy(), name="Reverse")).figure
