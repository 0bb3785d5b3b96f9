"""The matrix of an operator is what it does to the basis vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Matrix, Product, Space, Zero, matrix
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


@given(trees())
def test_expressions(tree: Expression) -> None:
    """The matrix of an expression is the expression of the matrices, in the precision of the codomain."""
    found = matrix(tree.operator)
    np.testing.assert_array_equal(found, tree.matrix)
    assert found.dtype == tree.operator.codomain.coordinate_dtype


@pytest.mark.parametrize("space", [Euclidean(0), Euclidean(()), Product(Euclidean(2), Euclidean(3))], ids=str)
def test_shape(space: Space) -> None:
    """There are as many rows as the codomain has coordinates, and as many columns as the domain; none, too."""
    assert matrix(Zero(space, Euclidean(4))).shape == (4, space.size)
    assert matrix(Zero(Euclidean(4), space)).shape == (space.size, 4)


def test_real_space_of_complex_arrays() -> None:
    """An entry of a real space of complex arrays is two coordinates: multiplying by i turns them."""
    from linop import Identity

    assert matrix(1j * Identity(Euclidean(1, complex, field="real"))).tolist() == [[0, -1], [1, 0]]


def test_the_matrix_is_fresh() -> None:
    """Changing the result changes nothing else."""
    A = Matrix([[1.0, 2.0]])
    matrix(A)[:] = 0
    assert matrix(A).tolist() == [[1.0, 2.0]]
