"""Operators side by side, each on its part of a tuple.

=========  ==========================================
map        ``(x_1, x_2) -> (A_1 x_1, A_2 x_2)``
adjoint    ``(y_1, y_2) -> (A_1* y_1, A_2* y_2)``
matrix     the matrices along the diagonal
=========  ==========================================
"""

from __future__ import annotations

from typing import final

from linop.arguments import checked
from linop.arrays import Vector
from linop.claims import Claims
from linop.errors import ArgumentTypeError, SpaceError
from linop.operator import LinearOperator
from linop.spaces import Product


@final
class BlockDiagonal(LinearOperator):
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

    @property
    def exact(self) -> bool:
        """Exact where every operator is."""
        return all(A.exact for A in self.operators)

    @property
    def roundings(self) -> int:
        """The most of any operator."""
        return max(A.roundings for A in self.operators)

    @property
    def gain(self) -> float | None:
        """The largest of the operators'."""
        gains = [A.gain for A in self.operators]
        return None if None in gains else max(gain for gain in gains if gain is not None)

    @property
    def claims(self) -> Claims:
        """What every operator claims."""
        return frozenset.intersection(*(A.claims for A in self.operators))

    @property
    def dual(self) -> BlockDiagonal:
        """The adjoints, side by side."""
        return BlockDiagonal(*(A.dual for A in self.operators))

    def _apply(self, x: Vector) -> Vector:
        return tuple(A._apply(part) for A, part in zip(self.operators, x, strict=True))

    def _key(self) -> tuple[object, ...]:
        return self.operators

    def __str__(self) -> str:
        return f"BlockDiagonal({', '.join(map(str, self.operators))})"


def require_operators(name: str, operators: tuple[LinearOperator, ...]) -> None:
    """Raise unless there is at least one operator, and nothing else."""
    if not operators:
        raise SpaceError(f"{name}: expected at least one operator")
    for A in operators:
        if not isinstance(A, LinearOperator):
            raise ArgumentTypeError(f"{name}: expected linear operators, found {A!r}")
    if len({A.domain.field for A in operators}) > 1:
        raise SpaceError(f"{name}: expected operators over one field, found {', '.join(map(repr, operators))}")
