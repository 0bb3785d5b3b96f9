"""Functional pairs with a vector, and its adjoint multiplies that vector."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Product, SpaceError, Weighted, claims, matrix
from linop.operators.matrices.functional import Functional
from linop.testing import Expression, assert_operator, dense, euclidean_spaces, functionals, weighted_spaces
from linop.testing.operators.products import pairing

pytestmark = pytest.mark.serial


@given(functionals())
def test_functionals(expression: Expression) -> None:
    """It pairs with its vector, on every kind of space and array."""
    assert_operator(*expression)


@given(functionals())
def test_spaces_and_gain(expression: Expression) -> None:
    """The numbers are real where the field is; the gain is the norm."""
    f, twin = expression
    assert f.codomain == Euclidean((), f.domain.coordinate_dtype)
    assert math.isclose(f.gain or 0.0, np.linalg.norm(twin.astype(complex)), rel_tol=2**-23)  # the twin's own rounding


@given(functionals())
def test_equality(expression: Expression) -> None:
    """Equal functionals have equal vectors and spaces."""
    f = expression.operator
    assert isinstance(f, Functional)
    assert f == Functional(f.vector.copy(), f.domain)
    assert hash(f) == hash(Functional(f.vector.copy(), f.domain))
    assert f.domain.size == 0 or f != Functional(f.vector + 1, f.domain)


@given(st.data())
def test_it_is_dot_and_with_the_riesz_map_inner(data: st.DataObject) -> None:
    """The pairing is Space.dot, whatever the weights; the Riesz map first makes it Space.inner."""
    X = data.draw(weighted_spaces(data.draw(euclidean_spaces())))
    v, x = X.integers(0), X.integers(1)
    f = Functional(v, X)
    assert f(x) == X.dot(v, x)
    assert (f @ X.riesz)(x) == X.inner(v, x)


def test_by_hand() -> None:
    """The vector is conjugated; in a real space, the real part is taken."""
    f = Functional([1j, 2])
    assert f(np.array([1.0, 1.0j])) == 1j
    assert f.H(np.array(1.0)).tolist() == [1j, 2]
    g = Functional([1j, 2], Euclidean(2, complex, field="real"))
    assert g(np.array([1.0, 1.0j])) == 0
    assert g(np.array([1j, 1.0])) == 3
    assert matrix(g).tolist() == [[0, 1, 2, 0]]
    assert (str(f), str(Functional(np.ones(9)))) == ("Functional([1j, (2+0j)])", "Functional")


def test_precision_follows_the_argument() -> None:
    """A vector in double precision takes single numbers to single vectors, also real ones to complex ones."""
    f = Functional([1.0, 2.0])
    assert (f(np.ones(2, np.float32)).dtype, f.H(np.ones((), np.float32)).dtype) == (np.float32, np.float32)
    g = Functional([1j, 2.0], Euclidean(2, complex, field="real"))
    assert (g(np.ones(2, np.complex64)).dtype, g.H(np.ones((), np.float32)).dtype) == (np.float32, np.complex64)


def test_roundings() -> None:
    """A product and a sum for each coordinate."""
    assert Functional([1.0, 2.0, 3.0]).roundings == 6


@pytest.mark.parametrize(
    ("vector", "domain", "expected"),
    [
        ([0.0, -1.0], None, {claims.COISOMETRY}),
        ([0.5, 0.5, 0.5, 0.5j], None, {claims.COISOMETRY}),
        ([-1.0], None, claims.UNITARY),
        (1j, None, claims.UNITARY),
        ([1j], Euclidean(1, complex, field="real"), {claims.COISOMETRY}),
        ([1.0, 1.0], None, set()),
    ],
)
def test_claims(vector: Any, domain: Any, expected: set[str]) -> None:
    """A vector of length one makes a coisometry, with one coordinate a unitary operator; and so it is."""
    f = Functional(vector, domain)
    assert f.claims == expected
    assert_operator(f, dense(lambda x: pairing(np.asarray(vector), x, f.domain.field), f.domain, f.codomain))


def test_codomain() -> None:
    """Numbers with a weight are numbers, too; arrays with axes are not."""
    Y = Weighted(Euclidean(()), 2.0)
    f = Functional([1.0, 3.0], codomain=Y)
    assert matrix(f.H).tolist() == [[2], [6]]
    with pytest.raises(SpaceError, match=r"Functional.*expected a codomain of shape \(\)"):
        Functional([1.0], codomain=Euclidean(1))
    with pytest.raises(SpaceError, match=r"Functional.*float64 over the field 'real'"):
        Functional([1.0], Euclidean(1, complex, field="real"), codomain=Euclidean((), complex, field="real"))


@pytest.mark.parametrize(
    ("vector", "domain", "told"),
    [
        ([1.0, 2.0], Euclidean(3), r"on Euclidean\(\(3,\), float64\): expected a vector of shape \(3,\), found \(2,\)"),
        ([1.0, np.inf], None, "finite"),
        ([1j], Euclidean(1), "complex128 on .* the arrays must be complex"),
        ([1.0], Product(Euclidean(1)), "expected a space of arrays"),
    ],
)
def test_what_is_no_functional(vector: Any, domain: Any, told: str) -> None:
    """The error names the operator, the space and what was found."""
    with pytest.raises(SpaceError, match=f"Functional.*{told}"):
        Functional(vector, domain)
