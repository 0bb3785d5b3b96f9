"""The errors of the algebra."""


class SpaceError(ValueError):
    """A vector or an operator does not belong to the spaces it is used with."""


class VerificationError(AssertionError):
    """A check of an operator or a space did not pass: its text is the report."""


class ConvergenceError(ArithmeticError):
    """An iterative solution did not reach its tolerance."""
