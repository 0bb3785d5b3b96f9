"""A matrix of operators.

=========  ==========================================
map        ``(A x)_i = sum_j A_ij x_j``
adjoint    ``(A*)_ij = (A_ji)*``
matrix     the matrices, block by block
=========  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Vector
from linop.blocks.block_diagonal import listed, require_operators
from linop.claims import Claims
from linop.core.expression import Expression, Steps, derived, levels_above
from linop.core.operator import LinearOperator
from linop.core.zero import Zero
from linop.errors import SpaceError
from linop.numbers import root_of_squares
from linop.queries.cost import Cost, addition, cost
from linop.query import Answer
from linop.rewriting.engine import rebuild
from linop.spaces import Product
from linop.writing import Pieces


@final
class Block(Expression):
    """Rows of operators, from tuples to tuples.

    Parameters
    ----------
    rows : sequence of sequences of LinearOperator
        Operators of one row share their codomain, those of one column their domain. None stands for zero, where the
        spaces follow from its row and column.

    Raises
    ------
    SpaceError
        When rows have different lengths, or spaces do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal, Euclidean, Identity
    >>> I = Identity(Euclidean(2))
    >>> A = Block([[I, 2 * I], [None, I]])
    >>> A((np.ones(2), np.ones(2)))
    (array([3., 3.]), array([1., 1.]))
    """

    @checked
    def __init__(self, rows: Sequence[Sequence[LinearOperator | None]]) -> None:
        filled = _filled([list(row) for row in rows])
        super().__init__(Product(*(A.domain for A in filled[0])), Product(*(row[0].codomain for row in filled)))
        self.rows = filled
        self._levels = levels_above(self._parts)

    @property
    def _parts(self) -> tuple[LinearOperator, ...]:
        return tuple(A for row in self.rows for A in row)

    @derived
    def exact(self) -> bool:
        """Exact where every operator is."""
        return all(A.exact for row in self.rows for A in row)

    @derived
    def roundings(self) -> int:
        """The most of any operator, and one for each addition."""
        terms = max(len(self.rows), len(self.rows[0])) - 1
        return max(A.roundings for row in self.rows for A in row) + terms

    @derived
    def gain(self) -> float | None:
        """The root of the sum of their squares."""
        return root_of_squares([A.gain for A in self._parts])

    @derived
    def claims(self) -> Claims:
        """Self-adjoint, where each block is the adjoint of its mirror image."""
        n = len(self.rows)
        mirrored = (
            self.domain == self.codomain
            and all(self.rows[i][j].dual == self.rows[j][i] for i in range(n) for j in range(i))
            and all(claims.SELF_ADJOINT in self.rows[i][i].claims for i in range(n))
        )
        return frozenset({claims.SELF_ADJOINT}) if mirrored else claims.NONE

    @derived
    def dual(self) -> Block:
        """The adjoints, transposed."""
        return Block([[A.dual for A in column] for column in zip(*self.rows, strict=True)])

    def _steps(self, x: Vector) -> Steps:
        results = []
        for row in self.rows:
            total = yield row[0], x[0]
            for A, part in zip(row[1:], x[1:], strict=True):
                if not isinstance(A, Zero):
                    total = arrays.add(total, (yield A, part), spent=total is not x[0])
            results.append(total)
        return tuple(results)

    def _key(self) -> tuple[object, ...]:
        return self.rows

    def _pieces(self) -> Pieces:
        for k, row in enumerate(self.rows):
            yield from (", [" if k else "Block([[", *listed(row), "]")
        yield "])"


def _filled(rows: list[list[LinearOperator | None]]) -> tuple[tuple[LinearOperator, ...], ...]:
    """Return the rows with zeros where there is None; raise where they do not fit."""
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise SpaceError(f"Block: expected rows of one length, found lengths {[len(row) for row in rows]}")
    known = tuple(A for row in rows for A in row if A is not None)
    require_operators("Block", known)
    domains = [next((A.domain for A in column if A is not None), None) for column in zip(*rows, strict=True)]
    codomains = [next((A.codomain for A in row if A is not None), None) for row in rows]
    filled = []
    for i, row in enumerate(rows):
        entries: list[LinearOperator] = []
        for j, A in enumerate(row):
            domain, codomain = domains[j], codomains[i]
            if domain is None or codomain is None:
                raise SpaceError(f"Block: row {i} and column {j} need an operator that tells their spaces")
            found = Zero(domain, codomain) if A is None else A
            if (found.domain, found.codomain) != (domain, codomain):
                raise SpaceError(f"Block: row {i}, column {j}: expected a map {domain} -> {codomain}, found {found!r}")
            entries.append(found)
        filled.append(tuple(entries))
    return tuple(filled)


@cost.register
def _(operator: Block) -> Answer[Cost]:
    """In a row, zeros that are not the first are passed over."""
    total = Cost()
    for row in operator.rows:
        for k, A in enumerate(row):
            if k == 0 or not isinstance(A, Zero):
                total += yield A
                total += min(k, 1) * addition(A.codomain)
    return total


@rebuild.register
def _(operator: Block, inside: tuple[Any, ...]) -> LinearOperator:
    width = len(operator.rows[0])
    return Block([inside[k : k + width] for k in range(0, len(inside), width)])
