"""The errors of the algebra."""


class SpaceError(ValueError):
    """A vector or an operator does not belong to the spaces it is used with."""


class AdjointError(AssertionError):
    """An operator and its adjoint do not satisfy ``dot(A x, y) == dot(x, A* y)``."""
