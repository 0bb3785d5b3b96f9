"""The errors of the library. All are a `LinopError`, and each is one of Python's own kinds, too."""

from typing import TypeVar

E = TypeVar("E", bound=Exception)


class LinopError(Exception):
    """The base of all errors that linop, distdl_ops and torch_bridge raise on purpose."""


def of_all(error: E) -> E:
    """Return an error that all processes raise, with a sign of it: nobody need be told of it again."""
    error.__dict__["of_all"] = True
    return error


def is_of_all(error: Exception) -> bool:
    """Say whether an error is known to be raised on all processes."""
    return bool(getattr(error, "of_all", False))


class ArgumentTypeError(LinopError, TypeError):
    """An argument is of another type than a function expects."""


class ArgumentError(LinopError, ValueError):
    """An argument is of the right type, and has a value that a function has no use for."""


class ProcessError(LinopError):
    """Processes that work together do not agree, wait in vain, or one of them has failed."""


class SpaceError(LinopError, ValueError):
    """A vector or an operator does not belong to the spaces it is used with."""


class IntegerError(LinopError, OverflowError):
    """Integers of this width cannot hold a result."""


class VerificationError(LinopError, AssertionError):
    """A check of an operator or a space did not pass: its text is the report."""


class ConvergenceError(LinopError, ArithmeticError):
    """An iterative solution did not reach its tolerance."""
