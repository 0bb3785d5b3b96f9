"""Operators side by side, each on its part of a tuple.

=========  ==========================================
map        ``(x_1, x_2) -> (A_1 x_1, A_2 x_2)``
adjoint    ``(y_1, y_2) -> (A_1* y_1, A_2* y_2)``
matrix     the matrices along the diagonal
=========  ==========================================
"""

from __future__ import annotations

from typing import Any, final

from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.core.compose import compose
from linop.core.expression import Expression, Steps, derived, levels_above
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.zero import Zero
from linop.errors import ArgumentTypeError, SpaceError
from linop.queries.cost import Cost, cost
from linop.queries.inverse import inverse
from linop.query import Answer
from linop.rewriting.engine import rebuild, rule
from linop.spaces import Product
from linop.writing import Pieces


@final
class BlockDiagonal(Expression):
    """The direct sum of operators.

    Parameters
    ----------
    *operators : LinearOperator
        One or more, over one field.

    Raises
    ------
    SpaceError
        When there are none, or their fields differ.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal
    >>> A = BlockDiagonal(Diagonal([2.0]), Diagonal([1.0, 3.0]))
    >>> A((np.ones(1), np.ones(2)))
    (array([2.]), array([1., 3.]))
    """

    @checked
    def __init__(self, *operators: LinearOperator) -> None:
        require_operators("BlockDiagonal", operators)
        super().__init__(Product(*(A.domain for A in operators)), Product(*(A.codomain for A in operators)))
        self.operators = operators
        self._levels = levels_above(operators)

    @property
    def _parts(self) -> tuple[LinearOperator, ...]:
        return self.operators

    @derived
    def exact(self) -> bool:
        """Exact where every operator is."""
        return all(A.exact for A in self.operators)

    @derived
    def roundings(self) -> int:
        """The most of any operator."""
        return max(A.roundings for A in self.operators)

    @derived
    def gain(self) -> float | None:
        """The largest of the operators'."""
        gains = [A.gain for A in self.operators]
        return None if None in gains else max(gain for gain in gains if gain is not None)

    @derived
    def claims(self) -> Claims:
        """What every operator claims."""
        return frozenset.intersection(*(A.claims for A in self.operators))

    @derived
    def dual(self) -> BlockDiagonal:
        """The adjoints, side by side."""
        return BlockDiagonal(*(A.dual for A in self.operators))

    def _steps(self, x: Vector) -> Steps:
        images = []
        for A, part in zip(self.operators, x, strict=True):
            images.append((yield A, part))
        return tuple(images)

    def _key(self) -> tuple[object, ...]:
        return self.operators

    def _pieces(self) -> Pieces:
        return ("BlockDiagonal(", *listed(self.operators), ")")


def listed(operators: tuple[LinearOperator, ...]) -> list[str | LinearOperator]:
    """Return how operators are written one after the other, with commas between them."""
    return [piece for A in operators for piece in (", ", A)][1:]


def require_operators(name: str, operators: tuple[LinearOperator, ...]) -> None:
    """Raise unless there is at least one operator, and nothing else."""
    if not operators:
        raise SpaceError(f"{name}: expected at least one operator")
    for A in operators:
        if not isinstance(A, LinearOperator):
            raise ArgumentTypeError(f"{name}: expected linear operators, found {A!r}")
    if len({A.domain.field for A in operators}) > 1:
        raise SpaceError(f"{name}: expected operators over one field, found {', '.join(map(repr, operators))}")


@inverse.register
def _(operator: BlockDiagonal) -> Answer[LinearOperator]:
    inverses = []
    for A in operator.operators:
        inverted = yield A
        inverses.append(inverted)
    return BlockDiagonal(*inverses)


@cost.register
def _(operator: BlockDiagonal) -> Answer[Cost]:
    total = Cost()
    for A in operator.operators:
        total += yield A
    return total


@rule(BlockDiagonal, BlockDiagonal)
def blocks(left: BlockDiagonal, right: BlockDiagonal) -> LinearOperator:
    """``diag(A, B) diag(C, D) = diag(A C, B D)``."""
    return BlockDiagonal(*map(compose, left.operators, right.operators))


@rule(BlockDiagonal)
def block_of_identities(node: BlockDiagonal) -> LinearOperator | None:
    """Identities side by side are one; so are zeros."""
    return all_alike(node, node.operators)


@rebuild.register
def _(operator: BlockDiagonal, inside: tuple[Any, ...]) -> LinearOperator:
    return type(operator)(*inside)


def all_alike(node: LinearOperator, operators: tuple[LinearOperator, ...]) -> LinearOperator | None:
    """Return the identity or zero between the node's spaces, where all its operators are that."""
    if all(isinstance(A, Identity) for A in operators):
        return Identity(node.domain)
    if all(isinstance(A, Zero) for A in operators):
        return Zero(node.domain, node.codomain)
    return None
