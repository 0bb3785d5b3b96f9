"""What an expression is made of.

Every query that walks an expression asks `parts`; a class of expressions that registers here is walked by all of them.
"""

from __future__ import annotations

from functools import singledispatch

from linop.arguments import checked
from linop.core.expression import Expression
from linop.core.operator import LinearOperator


@checked
@singledispatch
def parts(operator: LinearOperator) -> tuple[LinearOperator, ...]:  # noqa: ARG001  (an operator that is no expression)
    """Return the operators that an expression is made of, in the order in which it is written.

    Parameters
    ----------
    operator : LinearOperator
        The expression.

    Returns
    -------
    tuple of LinearOperator
        Empty for an operator that is made of no others.

    Examples
    --------
    >>> from linop import Diagonal
    >>> A, B = Diagonal([1.0, 2.0]), Diagonal([3.0, 4.0])
    >>> parts(A + B) == (A, B), parts(A)
    (True, ())
    """
    return ()


@parts.register
def _(operator: Expression) -> tuple[LinearOperator, ...]:
    return operator._parts
