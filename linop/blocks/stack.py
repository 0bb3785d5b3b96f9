r"""Operators above each other, and beside each other: a column and a row of blocks. Each is the other's adjoint.

=========  ==========================================
map        VStack ``x -> (A_1 x, A_2 x)``; HStack ``(x_1, x_2) -> A_1 x_1 + A_2 x_2``
adjoint    of a VStack ``HStack(A_1*, A_2*)``; of an HStack ``VStack(A_1*, A_2*)``
matrix     VStack: the matrices above each other; HStack: beside each other
=========  ==========================================
"""

from __future__ import annotations

from abc import abstractmethod
from functools import reduce
from typing import Any, final

from linop import arrays
from linop.arguments import checked
from linop.arrays import Vector
from linop.blocks.block_diagonal import BlockDiagonal, listed, require_operators
from linop.core.compose import compose, factors_of, product_of
from linop.core.expression import Expression, Steps, derived, levels_above
from linop.core.operator import LinearOperator
from linop.core.sum import add
from linop.errors import SpaceError
from linop.numbers import root_of_squares
from linop.queries.cost import Cost, addition, cost
from linop.query import Answer
from linop.rewriting.engine import rebuild, rule
from linop.spaces import Product
from linop.writing import Pieces


class _Stack(Expression):
    """What the two have in common. Abstract."""

    operators: tuple[LinearOperator, ...]

    @property
    def _parts(self) -> tuple[LinearOperator, ...]:
        return self.operators

    @property
    @abstractmethod
    def dual(self) -> LinearOperator:
        """The other kind of stack, of the adjoints."""

    @derived
    def exact(self) -> bool:
        """Exact where every operator is."""
        return all(A.exact for A in self.operators)

    @derived
    def roundings(self) -> int:
        """The most of any operator, and one for each addition."""
        return max(A.roundings for A in self.operators) + len(self.operators) - 1

    @derived
    def gain(self) -> float | None:
        """The root of the sum of their squares."""
        return root_of_squares([A.gain for A in self.operators])

    def _key(self) -> tuple[object, ...]:
        return self.operators

    def _pieces(self) -> Pieces:
        return (f"{type(self).__name__}(", *listed(self.operators), ")")


@final
class VStack(_Stack):
    """Several operators on the same vector; the results are a tuple.

    Parameters
    ----------
    *operators : LinearOperator
        One or more from the same domain.

    Raises
    ------
    SpaceError
        When there are none, or their domains differ.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal, Euclidean, Identity
    >>> A = VStack(Identity(Euclidean(2)), Diagonal([2.0, 3.0]))
    >>> A(np.ones(2))
    (array([1., 1.]), array([2., 3.]))
    """

    @checked
    def __init__(self, *operators: LinearOperator) -> None:
        require_operators("VStack", operators)
        for A in operators:
            if A.domain != operators[0].domain:
                raise SpaceError(f"VStack: expected operators from one domain, found {operators[0]!r} and {A!r}")
        super().__init__(operators[0].domain, Product(*(A.codomain for A in operators)))
        self.operators = operators
        self._levels = levels_above(operators)

    @derived
    def dual(self) -> HStack:
        """The adjoints beside each other."""
        return HStack(*(A.dual for A in self.operators))

    def _steps(self, x: Vector) -> Steps:
        images = []
        for A in self.operators:
            image = yield A, x
            images.append(image)
        return tuple(images)


@final
class HStack(_Stack):
    """The sum of several operators, each of its own part of a tuple.

    Parameters
    ----------
    *operators : LinearOperator
        One or more to the same codomain.

    Raises
    ------
    SpaceError
        When there are none, or their codomains differ.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal, Euclidean, Identity
    >>> A = HStack(Identity(Euclidean(2)), Diagonal([2.0, 3.0]))
    >>> A((np.ones(2), np.ones(2))).tolist()
    [3.0, 4.0]
    """

    @checked
    def __init__(self, *operators: LinearOperator) -> None:
        require_operators("HStack", operators)
        for A in operators:
            if A.codomain != operators[0].codomain:
                raise SpaceError(f"HStack: expected operators to one codomain, found {operators[0]!r} and {A!r}")
        super().__init__(Product(*(A.domain for A in operators)), operators[0].codomain)
        self.operators = operators
        self._levels = levels_above(operators)

    @derived
    def dual(self) -> VStack:
        """The adjoints above each other."""
        return VStack(*(A.dual for A in self.operators))

    def _steps(self, x: Vector) -> Steps:
        total = yield self.operators[0], x[0]
        for A, part in zip(self.operators[1:], x[1:], strict=True):
            total = arrays.add(total, (yield A, part), spent=total is not x[0])
        return total


@rule(BlockDiagonal, VStack)
def blocks_of_a_column(left: BlockDiagonal, right: VStack) -> LinearOperator:
    """Each block meets its part of the column."""
    return VStack(*map(compose, left.operators, right.operators))


@rule(HStack, BlockDiagonal)
def row_of_blocks(left: HStack, right: BlockDiagonal) -> LinearOperator:
    """Each part of the row meets its block."""
    return HStack(*map(compose, left.operators, right.operators))


@rule(HStack, VStack)
def row_and_column(left: HStack, right: VStack) -> LinearOperator:
    """A row times a column is a sum."""
    return reduce(add, map(compose, left.operators, right.operators))


@rule(VStack)
def common_right_factor(node: VStack) -> LinearOperator | None:
    """``(A C, B C) = (A, B) C``."""
    split = [factors_of(A) for A in node.operators]
    if len(split) < 2 or any(factors[-1] != split[0][-1] for factors in split):
        return None
    return compose(VStack(*(product_of(f[:-1], split[0][-1].codomain) for f in split)), split[0][-1])


@rule(HStack)
def common_left_factor(node: HStack) -> LinearOperator | None:
    """``(C A, C B) = C (A, B)``."""
    split = [factors_of(A) for A in node.operators]
    if len(split) < 2 or any(factors[0] != split[0][0] for factors in split):
        return None
    return compose(split[0][0], HStack(*(product_of(f[1:], split[0][0].domain) for f in split)))


@rebuild.register
def _(operator: HStack | VStack, inside: tuple[Any, ...]) -> LinearOperator:
    return type(operator)(*inside)


@cost.register
def _(operator: VStack) -> Answer[Cost]:
    total = Cost()
    for A in operator.operators:
        total += yield A
    return total


@cost.register
def _(operator: HStack) -> Answer[Cost]:
    total = (len(operator.operators) - 1) * addition(operator.codomain)
    for A in operator.operators:
        total += yield A
    return total
