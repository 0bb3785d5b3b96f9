"""Restriction: the entries that a NumPy index chooses; its adjoint adds them up where they came from."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from linop import Euclidean, Product, SpaceError, Weighted, claims, inverse, matrix
from linop.operators.indexing.restriction import Restriction
from linop.testing import Expression, assert_operator, dense, restrictions, weight_matrix, with_weights

pytestmark = pytest.mark.serial


@given(restrictions())
def test_restrictions(restriction: Expression) -> None:
    """It takes what NumPy takes, and its adjoint adds, on every kind of space and array."""
    A = restriction.operator
    assert A.codomain == Euclidean(A.codomain.shape, A.domain.dtype, A.domain.field)
    assert_operator(*restriction)


@given(restrictions())
def test_claims_say_all(restriction: Expression) -> None:
    """It is a coisometry where no entry is taken twice, unitary where each is taken once; and claims just that."""
    A, dense_matrix = restriction
    often = dense_matrix.real.sum(axis=0)
    expected = {claims.COISOMETRY} if np.all(often <= 1) else set()
    if np.all(often == 1):
        expected |= claims.UNITARY
    assert A.claims == expected
    largest = float(often.max(initial=0.0))
    assert math.sqrt(largest) <= A.gain <= math.sqrt(max(largest, 1.0))
    assert A.roundings == (math.ceil(math.log2(largest)) if largest else 0)


@pytest.mark.parametrize("kind", ["number", "array", "operator"])
def test_between_weighted_spaces(kind: str) -> None:
    """Given weighted spaces, A.H has the matrix W_X^-1 a^H W_Y."""
    X = with_weights(Euclidean((2, 3)), kind, 1)
    for index, shape in ((np.s_[:, ::2], (2, 2)), (np.s_[[0, 1, 1, 0, 0]], (5, 3))):
        Y = with_weights(Euclidean(shape), kind, 2)
        A = Restriction(X, index, codomain=Y)
        a = dense(lambda x, index=index: x[index], X.unweighted, Y.unweighted)
        expected = np.linalg.solve(weight_matrix(X), a.T @ weight_matrix(Y))
        # exact for powers of two; of an operator, its condition number (below 100) times the size times the roundings
        np.testing.assert_allclose(matrix(A.H), expected, rtol=0, atol=0 if kind != "operator" else 600 * 2.0**-52)


def test_slices_need_no_memory() -> None:
    """A slice of a space that would not fit into any memory is no matter."""
    A = Restriction(Euclidean((2**30, 2**30)), np.s_[-3, 5 : 2**20 : 2])
    assert A.codomain == Euclidean(2**19 - 2)
    assert str(A) == "Restriction[-3, 5:1048576:2]"


@pytest.mark.parametrize(("shape", "index"), [((2,), 1), ((2,), np.array(1)), ((2,), (0, ...)), ((), ()), ((), True)])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_results_without_axes(shape: tuple[int, ...], index: Any, batch: tuple[int, ...]) -> None:
    """A single entry is an array without axes, behind the axes of the batch, and no scalar."""
    A = Restriction(Euclidean(shape), index)
    for B in (A, A.H):
        x = B.domain.integers(0, batch)
        y = B._apply(x)
        assert type(y) is np.ndarray
        assert y.shape == (*batch, *B.codomain.shape)
        assert type(B._apply(torch.asarray(x))) is torch.Tensor


@pytest.mark.parametrize(
    ("index", "same"),
    [
        (np.s_[:], np.s_[0:5:1]),
        (np.s_[::2], np.s_[0:6:2, ...]),
        (np.s_[-2:], np.s_[..., 3:5]),
        (np.s_[3:1], np.s_[0:0]),
        (np.s_[2:3:-1], np.s_[:0]),
        (np.s_[1:0:-1], np.s_[1:2]),
        ([0, 1], np.array([0, 1])),
        ([True, False, True, False, False], [0, 2]),
        (np.s_[::-1], [4, 3, 2, 1, 0]),
        ([-1], [4]),
    ],
)
def test_equal(index: Any, same: Any) -> None:
    """Two indices that say the same, in slices or in arrays, make equal operators."""
    X = Euclidean(5)
    A, B = Restriction(X, index), Restriction(X, same)
    assert A == B
    assert hash(A) == hash(B)
    assert Restriction(Euclidean(5, np.float32), index) != A
    assert Restriction(X, index, codomain=Weighted(A.codomain.unweighted, 2.0)) != A


@pytest.mark.parametrize(
    ("index", "other"), [(1, np.s_[1:2]), (np.s_[::2], np.s_[::3]), ([0, 1], [1, 0]), ([0, 1], [[0, 1]])]
)
def test_not_equal(index: Any, other: Any) -> None:
    """Other entries, or the same in another shape, make another operator."""
    X = Euclidean(5)
    assert Restriction(X, index) != Restriction(X, other)


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (np.s_[1:], "Restriction[1:]"),
        (np.s_[..., None, ::-2], "Restriction[..., None, ::-2]"),
        ((), "Restriction[()]"),
        ([0, 2], "Restriction[[0, 2]]"),
        (np.s_[:, np.zeros((10, 2), int)], "Restriction[:, array of shape (10, 2)]"),
    ],
)
def test_printing(index: Any, text: str) -> None:
    """It prints as the index is written; long arrays by their shape."""
    assert str(Restriction(Euclidean((3, 3)), index)) == text


def test_indices_are_copied() -> None:
    """An operator does not change when the array that it was made from does."""
    index = np.array([0, 1])
    A = Restriction(Euclidean(3), index)
    index[:] = 2
    assert matrix(A).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_the_inverse_of_a_permutation() -> None:
    """A restriction that only reorders has its adjoint for an inverse."""
    A = Restriction(Euclidean((2, 3)), np.s_[::-1, [2, 0, 1]])
    assert inverse(A) == A.dual
    x = A.domain.integers(0)
    np.testing.assert_array_equal(A.dual(A(x)), x)


@pytest.mark.parametrize(
    ("index", "told"),
    [
        (5, "out of bounds"),
        ([0, 5], "out of bounds"),
        (np.s_[:, :, 0], "too many indices"),
        (np.s_[..., ...], "ellipsis"),
        (np.s_[::0], "step"),
        (np.s_[1.5:], "integers"),
        (1.5, "integers"),
        ("a", "integers"),
        ([[0, 1], [2]], "inhomogeneous"),
        (np.ones(2, bool), "boolean index"),
        (([0, 1, 2], [0, 1]), "broadcast"),
        ({}, "integers"),
    ],
)
def test_what_is_no_index(index: Any, told: str) -> None:
    """The error names the operator and the space, and says what NumPy finds wrong."""
    with pytest.raises(SpaceError, match=rf"Restriction\[.*Euclidean\(\(5, 3\), float64\).*\(5, 3\).*{told}"):
        Restriction(Euclidean((5, 3)), index)


def test_codomains_that_do_not_fit() -> None:
    """The error names both spaces; a product of spaces has no index."""
    with pytest.raises(SpaceError, match=r"Restriction\[1:\] : .*\(3,\).* -> .*\(3,\).*expected .* shape \(2,\)"):
        Restriction(Euclidean(3), np.s_[1:], codomain=Euclidean(3))
    with pytest.raises(SpaceError, match="over the field"):
        Restriction(Euclidean(3), np.s_[1:], codomain=Euclidean(2, complex))
    with pytest.raises(SpaceError, match=r"Restriction.*Product"):
        Restriction(Product(Euclidean(2)), 0)
    with pytest.raises(TypeError, match=r"Restriction.*Space"):
        Restriction(np.zeros(3), 0)  # type: ignore[arg-type]
