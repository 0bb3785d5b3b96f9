"""The Kronecker product: operators on different axes of one array.

=========  ==========================================
map        ``(A (x) B)(x (x) y) = A x (x) B y``: A along the first axes, B along the last
adjoint    ``(A (x) B)* = A* (x) B*``
matrix     the Kronecker product of the matrices
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from linop import arrays
from linop.arguments import checked
from linop.arrays import Array
from linop.blocks.block_diagonal import all_alike, listed, require_operators
from linop.claims import Claims
from linop.core.compose import compose
from linop.core.expression import Expression, Steps, derived, levels_above
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.scale import Scale, scale
from linop.core.zero import Zero
from linop.errors import SpaceError
from linop.numbers import gain_of, is_moderate
from linop.operators.entrywise.diagonal import Diagonal
from linop.queries.cost import Cost, cost, nbytes
from linop.queries.inverse import inverse, unknown_inverse
from linop.query import Answer
from linop.rewriting.engine import rebuild, rule
from linop.spaces import Euclidean, Space, Weighted
from linop.spaces.arrays_only import require_arrays
from linop.writing import Pieces

MOST_BATCH_AXES = 8
"""More batch axes are taken as one."""


@final
class Kron(Expression):
    """The tensor product of operators, the last one along the last axes.

    Each operator is applied with all other axes as its batch; the product of the matrices is never formed.

    Parameters
    ----------
    *operators : LinearOperator
        One or more between spaces of arrays. Weights multiply: the Riesz map of a tensor product is the Kronecker
        product of the Riesz maps.

    Raises
    ------
    SpaceError
        When a space has other vectors than arrays, the fields differ, or it is a real space of complex arrays: the
        tensor product over the real numbers has no arrays of that kind.

    Examples
    --------
    >>> from linop import Diagonal, Matrix
    >>> A = Kron(Diagonal([1.0, 2.0]), Matrix([[1.0, 1.0, 1.0]]))
    >>> A(np.ones((2, 3))).tolist()
    [[3.0], [6.0]]
    """

    @checked
    def __init__(self, *operators: LinearOperator) -> None:
        require_operators("Kron", operators)
        super().__init__(tensor_space(*(A.domain for A in operators)), tensor_space(*(A.codomain for A in operators)))
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
        """The sum over the operators."""
        return sum(A.roundings for A in self.operators)

    @derived
    def gain(self) -> float | None:
        """The product of the operators'."""
        return gain_of([A.gain for A in self.operators])

    @derived
    def claims(self) -> Claims:
        """What every operator claims."""
        return frozenset.intersection(*(A.claims for A in self.operators))

    @derived
    def dual(self) -> Kron:
        """The Kronecker product of the adjoints."""
        return Kron(*(A.dual for A in self.operators))

    def _steps(self, x: Array) -> Steps:
        batch, fresh = x.ndim - self.domain.ndim, False
        before = x.shape[:batch]
        if batch > MOST_BATCH_AXES:  # products inside of products add one each, and arrays have a limit
            x, batch = arrays.reshape(x, (-1, *self.domain.shape)), 1
        for A in reversed(self.operators):  # each takes the last axes, and puts its result in front of the others
            if not isinstance(A, Identity):
                x, fresh = (yield A, x), True
            turned = A.codomain.ndim
            kept = list(range(batch, x.ndim - turned))
            axes = [*range(batch), *range(x.ndim - turned, x.ndim), *kept]
            x = arrays.namespace(x).permute_dims(x, tuple(axes))
        if len(before) != batch:
            x = arrays.reshape(x, (*before, *self.codomain.shape))
        return x if fresh and arrays.is_row_major(x) else arrays.copy(x)

    def _key(self) -> tuple[object, ...]:
        return self.operators

    def _pieces(self) -> Pieces:
        return ("Kron(", *listed(self.operators), ")")


@checked
def tensor_space(*spaces: Space) -> Space:
    """Return the tensor product of spaces of arrays: the axes of all, in order; weights multiply.

    Parameters
    ----------
    *spaces : Space
        Of arrays, over one field.

    Raises
    ------
    SpaceError
        When a space has other vectors than arrays, or the fields differ.

    Examples
    --------
    >>> tensor_space(Euclidean(2), Euclidean((3, 4)))
    Euclidean((2, 3, 4), float64)
    """
    require_arrays("Kron", *spaces)
    if len({space.field for space in spaces}) > 1 or any((s.field == "real") == (s.dtype.kind == "c") for s in spaces):
        raise SpaceError(f"Kron: expected real spaces of real arrays, or complex spaces, found {spaces}")
    shape = tuple(extent for space in spaces for extent in space.shape)
    plain = Euclidean(shape, np.result_type(*(space.dtype for space in spaces)))
    if not any(space.weighted for space in spaces):
        return plain
    return Weighted(plain, Kron(*map(_weight, spaces)))


def _weight(space: Space) -> LinearOperator:
    """Return the Riesz map of a space as an operator on the space without weights."""
    if not isinstance(space, Weighted):
        return Identity(space)
    if isinstance(space.weight, float):
        return scale(space.weight, Identity(space.space))
    if isinstance(space.weight, np.ndarray):
        return Diagonal(space.weight, space.space)
    found: LinearOperator = space.weight
    return found


@cost.register
def _(operator: Kron) -> Answer[Cost]:
    """Each operator is applied to all other axes as its batch; at last, the result is copied."""
    done, todo = 1, math.prod(A.domain.size for A in operator.operators)
    total = Cost(0, 2 * nbytes(operator.codomain))
    for A in reversed(operator.operators):
        others = done * (todo // max(A.domain.size, 1))
        total += others * (yield A)
        done, todo = done * A.codomain.size, todo // max(A.domain.size, 1)
    return total


@inverse.register
def _(operator: Kron) -> Answer[LinearOperator]:
    if any(A.domain.size != A.codomain.size for A in operator.operators):
        return unknown_inverse(operator)
    inverses = []
    for A in operator.operators:
        inverted = yield A
        inverses.append(inverted)
    return Kron(*inverses)


@rule(Kron, Kron)
def mixed_product(left: Kron, right: Kron) -> LinearOperator | None:
    """``(A (x) B) (C (x) D) = A C (x) B D``."""
    if len(left.operators) != len(right.operators):
        return None
    if any(a.domain != b.codomain for a, b in zip(left.operators, right.operators, strict=True)):
        return None
    return Kron(*map(compose, left.operators, right.operators))


@rule(Kron)
def kron_of_identities(node: Kron) -> LinearOperator | None:
    """``I (x) I = I``; a factor of zero makes it zero."""
    if any(isinstance(A, Zero) for A in node.operators):
        return Zero(node.domain, node.codomain)
    return all_alike(node, node.operators)


@rule(Kron)
def kron_of_multiples(node: Kron) -> LinearOperator | None:
    """``(c A) (x) B = c (A (x) B)``."""
    for k, A in enumerate(node.operators):
        if isinstance(A, Scale) and is_moderate(A.scalar, A.codomain):
            return scale(A.scalar, Kron(*node.operators[:k], A.operator, *node.operators[k + 1 :]))
    return None


@rebuild.register
def _(operator: Kron, inside: tuple[Any, ...]) -> LinearOperator:
    return type(operator)(*inside)
