"""Linear algebra on tensors that are spread over ranks: movements and local operators, composed.

Each is a function that returns the expression it is named for, so that its adjoint follows from those of its factors,
and equals the operator of the same name in `linop`, laid out: ``A(X.from_global(x)) == Y.from_global(serial(x))``.
"""
