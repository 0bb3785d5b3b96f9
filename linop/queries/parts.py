"""What an expression is made of.

Every query that walks an expression asks `parts`; a class of expressions that registers here is walked by all of them.
"""

from __future__ import annotations

from functools import singledispatch

from linop.algebra.adjoint import Adjoint
from linop.algebra.block import Block
from linop.algebra.block_diagonal import BlockDiagonal
from linop.algebra.compose import Compose
from linop.algebra.kron import Kron
from linop.algebra.scale import Scale
from linop.algebra.stack import HStack, VStack
from linop.algebra.sum import Sum
from linop.arguments import checked
from linop.inverse import Inverse
from linop.operator import LinearOperator


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
def _(operator: Compose) -> tuple[LinearOperator, ...]:
    return operator.factors


@parts.register
def _(operator: Sum) -> tuple[LinearOperator, ...]:
    return operator.terms


@parts.register
def _(operator: Scale | Adjoint | Inverse) -> tuple[LinearOperator, ...]:
    return (operator.operator,)


@parts.register
def _(operator: BlockDiagonal | HStack | Kron | VStack) -> tuple[LinearOperator, ...]:
    return operator.operators


@parts.register
def _(operator: Block) -> tuple[LinearOperator, ...]:
    return tuple(block for row in operator.rows for block in row)
