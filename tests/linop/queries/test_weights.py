"""What the weights of a space are known to be, they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Diagonal, Euclidean, Matrix, Product, Space, Weighted, matrix
from linop.queries.weights import has_diagonal_weights, is_real_of_complex, weight_number
from linop.testing import spaces_of_a_tree, weight_matrix, with_weights

pytestmark = pytest.mark.serial

X, C = Euclidean(2), Euclidean(2, complex, field="real")


@given(spaces_of_a_tree().flatmap(st.sampled_from))
def test_numbers_and_diagonals(space: Space) -> None:
    """Where a number is known, the matrix of the weights is that number; where they are diagonal, it is a diagonal."""
    weights = weight_matrix(space)
    number = weight_number(space)
    if number is not None:
        np.testing.assert_array_equal(weights, number * np.eye(space.size))
    assert has_diagonal_weights(space)  # these strategies draw no others
    np.testing.assert_array_equal(weights, np.diag(np.diag(weights)))
    np.testing.assert_array_equal(matrix(space.riesz), weights)


@pytest.mark.parametrize(
    ("space", "number", "diagonal"),
    [
        (X, 1.0, True),
        (Weighted(X, 3.0), 3.0, True),
        (Weighted(X, [3.0, 3.0]), None, True),
        (Weighted(X, Diagonal([1.0, 2.0], X)), None, True),
        (Weighted(X, Matrix([[2.0, 1.0], [1.0, 2.0]])), None, False),
        (Product(X, Weighted(X, 1.0)), 1.0, True),
        (Product(X, Weighted(X, 2.0)), None, True),
        (Product(Weighted(X, 2.0), Product(Weighted(X, 2.0))), 2.0, True),
        (Product(X, with_weights(X, "operator")), None, False),
        (Weighted(C, Diagonal([1.0, 2.0], C)), None, False),  # an operator may treat the two parts differently
    ],
    ids=repr,
)
def test_kinds(space: Space, number: float | None, diagonal: bool) -> None:
    """A number, a diagonal, or more."""
    assert weight_number(space) == number
    assert has_diagonal_weights(space) is diagonal


def test_real_spaces_of_complex_arrays() -> None:
    """They are found inside of products, whose dtype does not tell."""
    assert is_real_of_complex(C)
    assert is_real_of_complex(Weighted(C, 2.0))
    assert is_real_of_complex(Product(X, Product(X, C)))
    assert not is_real_of_complex(Product(X, Weighted(X, 2.0)))
    assert not is_real_of_complex(Euclidean(2, complex))
