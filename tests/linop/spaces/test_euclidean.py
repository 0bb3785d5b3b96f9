"""Euclidean spaces: vectors, pairing, sampling, coordinates, and what they refuse."""

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, LinopError, SpaceError
from linop.testing import euclidean_spaces

pytestmark = pytest.mark.serial


@given(euclidean_spaces(), st.sampled_from([(), (3,), (2, 0)]))
def test_coordinates_go_there_and_back(space: Euclidean, batch: tuple[int, ...]) -> None:
    """from_coordinates is the inverse of to_coordinates, for every batch."""
    x = space.integers(0, batch)
    coordinates = space.to_coordinates(x)
    assert coordinates.shape == (*batch, space.size)
    np.testing.assert_array_equal(space.from_coordinates(coordinates), x)


@given(euclidean_spaces())
def test_dot_is_the_sum_over_conjugate_products(space: Euclidean) -> None:
    """The pairing conjugates its first argument, as numpy.vdot does; integers are paired exactly."""
    x, y = space.integers(0), space.integers(1)
    expected = np.vdot(x, y)
    assert space.dot(x, y) == (expected.real if space.field == "real" else expected)
    assert space.norm(x) == pytest.approx(np.linalg.norm(x.ravel()), rel=1e-12)


@given(euclidean_spaces())
def test_dot_of_a_batch_is_one_number_each(space: Euclidean) -> None:
    """A batch is paired vector by vector."""
    x, y = space.integers(0, (3,)), space.integers(1, (3,))
    np.testing.assert_array_equal(space.dot(x, y), [space.dot(a, b) for a, b in zip(x, y, strict=True)])
    np.testing.assert_array_equal(space.norm(x), [space.norm(a) for a in x])


def test_dot_accumulates_in_double_precision() -> None:
    """Many float32 entries are added without the loss that float32 sums have."""
    space = Euclidean(1_000_000, np.float32)
    x = np.full(1_000_000, 0.1, np.float32)
    assert space.dot(x, x) == pytest.approx(1e6 * float(np.float32(0.1)) ** 2, rel=1e6 * 2**-53)


@given(euclidean_spaces(), st.integers(0, 2**32))
def test_integers_are_small_and_never_zero(space: Euclidean, seed: int) -> None:
    """Entries of integer vectors are +-1 .. +-4, in both parts where complex, and follow from the seed."""
    x = space.integers(seed, (4,))
    for part in (x.real, x.imag) if space.dtype.kind == "c" else (x,):
        assert np.isin(part, [-4, -3, -2, -1, 1, 2, 3, 4]).all()
    np.testing.assert_array_equal(x, space.integers(seed, (4,)))
    assert x.dtype == space.dtype
    assert space.normal(seed).dtype == space.dtype


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_vectors_of_any_library(library: str) -> None:
    """Arrays of every array API library are vectors, and zeros are made in the library asked for."""
    xp = {"numpy": np, "torch": torch, "array_api_strict": array_api_strict}[library]
    space = Euclidean((2, 2))
    x = xp.ones((2, 2), dtype=xp.float64)
    space.check(x)
    assert space.dot(x, x) == 4
    assert type(space.zeros(like=x)) is type(x)
    assert space.to_coordinates(x).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (np.ones(3), r"\(3,\)"),
        (np.ones((2, 3)), r"\(2, 3\)"),
        (np.ones((3, 2), complex), "complex128"),
        (np.ones((3, 2), bool), "bool"),
        ([[1.0, 2.0]], "list"),
        (2.0, "float"),
    ],
)
def test_what_is_no_vector_is_refused(x: object, found: str) -> None:
    """The error names the space, what was expected and what was found."""
    space = Euclidean((3, 2))
    with pytest.raises(SpaceError, match=found) as caught:
        space.check(x)
    assert "Euclidean((3, 2), float64)" in str(caught.value)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((-1,), "f8"), ((2.5,), "f8"), ("ab", "f8"), (None, "f8"), (3, "i8"), (3, "?")]
)
def test_what_is_no_space_is_refused(shape: object, dtype: str) -> None:
    """Shapes are tuples of whole numbers, and fields are real or complex."""
    with pytest.raises(LinopError, match=r"Euclidean: .*(shape|dtype)"):
        Euclidean(shape, dtype)  # type: ignore[arg-type]


def test_equality_and_hash() -> None:
    """Spaces of the same shape and dtype are the same space."""
    assert Euclidean(3) == Euclidean((3,), np.float64)
    assert hash(Euclidean(3)) == hash(Euclidean((3,)))
    assert len({Euclidean(3), Euclidean(3, np.float32), Euclidean(4)}) == 3


def test_basis() -> None:
    """Basis vectors are one at their coordinate, and zero elsewhere."""
    space = Euclidean((2, 2))
    assert space.basis(2).tolist() == [[0, 0], [1, 0]]
    assert space.locate(2) == "index (1, 0)"
    with pytest.raises(SpaceError, match="4 coordinates"):
        space.basis(4)
