"""Product spaces: tuples of vectors."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Identity, Matrix, Product, Space, SpaceError, Weighted, arrays, assert_correct, matrix
from linop.testing import DTYPES, euclidean_spaces, weight_matrix, weighted_spaces

pytestmark = pytest.mark.serial


@st.composite
def products(draw: st.DrawFn) -> Product:
    """Return products of spaces, nested and with weights."""
    dtype = draw(st.sampled_from(DTYPES))
    part = euclidean_spaces((dtype,), max_ndim=2, max_extent=2).filter(
        lambda space: space.dtype.kind == "f" or space.field == "complex"
    )
    flat = st.lists(part.flatmap(weighted_spaces), min_size=1, max_size=3).map(lambda spaces: Product(*spaces))
    nested = st.builds(Product, part, flat)
    return draw(st.one_of(flat, nested))


@given(products())
def test_pairings_are_sums_of_the_parts(space: Product) -> None:
    """Dot and inner are those of the coordinates."""
    x, y = space.integers(0), space.integers(1)
    a, b = space.to_coordinates(x), space.to_coordinates(y)
    assert len(a) == space.size
    assert space.dot(x, y) == np.vdot(a, b)
    assert space.inner(x, y) == np.vdot(a, weight_matrix(space) @ b)
    assert space.weighted == any(part.weighted for part in space.parts)


@given(products(), st.sampled_from([(), (2,), (2, 0)]))
def test_coordinates_go_there_and_back(space: Product, batch: tuple[int, ...]) -> None:
    """Coordinates are those of the parts, one after the other."""
    x = space.integers(0, batch)
    assert space.batch(x) == batch
    back = space.from_coordinates(space.to_coordinates(x))
    arrays.each(np.testing.assert_array_equal, back, x)
    arrays.each(lambda a, b: a.dtype == b.dtype, back, x)
    space.check(x)


@given(products())
def test_operators_on_products(space: Product) -> None:
    """The identity and matrices map tuples as they map arrays."""
    entries = np.arange(space.size**2, dtype=float).reshape(space.size, space.size) % 5
    A = Matrix(entries, space, space)
    np.testing.assert_array_equal(matrix(A), entries)
    assert_correct(2 * A.H @ A + Identity(space))


@given(products())
def test_pickle_and_equality(space: Product) -> None:
    """Products are equal by their parts, hash alike, and survive a pickle."""
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert hash(again) == hash(space)
    assert all(repr(part) in repr(space) for part in space.parts)
    assert space.unweighted.unweighted == space.unweighted


def test_locate() -> None:
    """A coordinate lies in a part."""
    X = Product(Euclidean(2), Product(Euclidean((2, 2))))
    assert X.locate(1) == "part 0, index (1,)"
    assert X.locate(4) == "part 1, part 0, index (1, 0)"
    with pytest.raises(SpaceError, match="coordinate 6"):
        X.locate(6)


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (np.ones(2), "expected a tuple of 2 vectors, found ndarray"),
        ((np.ones(2),), "expected a tuple of 2 vectors, found 1 vectors"),
        ((np.ones(2), np.ones(2)), r"ends in shape \(3,\), found shape \(2,\)"),
        ((np.ones((4, 2)), np.ones(3)), r"the same batch axes in every part, found \[\(4,\), \(\)\]"),
        ([np.ones(2), np.ones(3)], "found list"),
    ],
)
def test_what_is_no_vector_is_refused(x: Any, told: str) -> None:
    """The error names the space, what was expected and what was found."""
    X = Product(Euclidean(2), Euclidean(3))
    with pytest.raises(SpaceError, match=told):
        Identity(X)(x)


@pytest.mark.parametrize("parts", [(), (Euclidean(2), Euclidean(2, complex))])
def test_what_is_no_product_is_refused(parts: Any) -> None:
    """A product has parts, over one field."""
    with pytest.raises(SpaceError, match="Product"):
        Product(*parts)


def test_real_and_complex_arrays_over_the_real_field() -> None:
    """A real space of complex arrays may stand beside one of real arrays."""
    X: Space = Product(Euclidean(2), Weighted(Euclidean(1, complex, field="real"), 2.0))
    assert (X.size, X.field, X.dtype) == (4, "real", np.float64)
    assert X.inner((np.ones(2), np.array([1j])), (np.ones(2), np.array([1 + 3j]))) == 8.0
    with pytest.raises(SpaceError, match="complex"):
        1j * Identity(X)
