"""Every expression tells what it is made of."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Adjoint,
    Block,
    BlockDiagonal,
    Compose,
    Diagonal,
    Euclidean,
    HStack,
    Identity,
    Inverse,
    Kron,
    LinearOperator,
    Matrix,
    Scale,
    Sum,
    VStack,
    matrix,
)
from linop.arrays import Vector
from linop.core.compose import compose
from linop.core.parts import parts
from linop.show.tree import tree
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial

A, B = Matrix([[1.0, 2.0], [3.0, 4.0]]), Diagonal([1.0, 2.0])


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (A, ()),
        (Identity(Euclidean(2)), ()),
        (A @ B @ A, (A, B, A)),
        (A + B, (A, B)),
        (2 * A, (A,)),
        (A.H, (A,)),
        (Inverse(A), (A,)),
        (VStack(A, B), (A, B)),
        (HStack(A, B), (A, B)),
        (BlockDiagonal(A, B), (A, B)),
        (Kron(A, B), (A, B)),
        (Block([[A, B], [B, A]]), (A, B, B, A)),
    ],
    ids=str,
)
def test_parts(expression: LinearOperator, found: tuple[LinearOperator, ...]) -> None:
    """Parts come in the order in which the expression is written."""
    assert parts(expression) == found


@given(trees())
def test_an_expression_is_its_parts(tree: Expression) -> None:
    """At every node, the matrix of the expression follows from those of its parts alone."""
    for node in _nodes(tree.operator):
        inside = [matrix(part) for part in parts(node)]
        expected = {
            Compose: np.linalg.multi_dot,
            Sum: lambda found: sum(found[1:], found[0]),
            Scale: lambda found, node=node: node.scalar * found[0],
            Adjoint: lambda found: found[0].conj().T,
            VStack: lambda found: np.concatenate(found, axis=0),
            HStack: lambda found: np.concatenate(found, axis=1),
        }.get(type(node))
        assert (expected is not None) == bool(inside) or isinstance(node, Block | BlockDiagonal | Kron)
        if expected is not None:
            np.testing.assert_array_equal(matrix(node), expected(inside))


def _nodes(operator: LinearOperator) -> Iterator[LinearOperator]:
    yield operator
    for part in parts(operator):
        yield from _nodes(part)


class Squared(LinearOperator):
    """A class of expressions of a user: ``A A``."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.domain, operator.codomain)
        self.operator = operator

    @property
    def dual(self) -> LinearOperator:
        return Squared(self.operator.dual)

    def _apply(self, x: Vector) -> Vector:
        return compose(self.operator, self.operator)._apply(x)


def test_an_expression_of_ones_own() -> None:
    """A class that registers is walked by every query: here, by the tree."""
    assert parts(Squared(A)) == ()
    parts.register(Squared, lambda operator: (operator.operator,))
    assert parts(Squared(A)) == (A,)
    assert tree(Squared(A)).splitlines() == ["Squared : R^2 -> R^2", "└── Matrix(2x2) : R^2 -> R^2"]
