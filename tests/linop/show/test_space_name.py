"""Short names tell spaces apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Split, simulate
from linop import Euclidean, Matrix, Product, Space, Weighted
from linop.show.space_name import space_name
from linop.testing import euclidean_spaces

pytestmark = pytest.mark.serial

X, Y = Euclidean(2), Euclidean((2, 3))


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (Euclidean(()), "R"),
        (X, "R^2"),
        (Y, "R^(2x3)"),
        (Euclidean(2, complex), "C^2"),
        (Euclidean(2, np.float32), "R^2 float32"),
        (Euclidean((2, 0), np.complex64), "C^(2x0) complex64"),
        (Euclidean(2, complex, field="real"), "C^2 over R"),
        (Weighted(X, 2.0), "weighted R^2"),
        (Weighted(X, Matrix([[2.0, 1.0], [1.0, 2.0]])), "weighted R^2"),
        (Product(X, Y), "R^2 (+) R^(2x3)"),
        (Product(X, Product(X, Weighted(Y, 1.0))), "R^2 (+) (R^2 (+) weighted R^(2x3))"),
        (Product(X), "R^2"),
    ],
)
def test_names(space: Space, name: str) -> None:
    """The field and the shape, and whatever is not usual."""
    assert space_name(space) == name


@given(st.lists(euclidean_spaces(), min_size=2, max_size=2))
def test_spaces_of_arrays_are_told_apart(spaces: list[Euclidean]) -> None:
    """Two spaces of arrays have the same name just when they are the same."""
    first, second = spaces
    assert (space_name(first) == space_name(second)) == (first == second)


def test_other_spaces() -> None:
    """A space that is not registered goes by its class and its size, the same on all ranks."""
    names = simulate(2, lambda world: space_name(DistributedSpace(Grid(world, rows=2), (5, 3), rows=Split(0))))
    assert names == ["DistributedSpace of size 15"] * 2
