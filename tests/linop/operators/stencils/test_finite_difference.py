"""Finite differences are those of NumPy, and differentiate polynomials."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Product, Space, SpaceError, Weighted, check_adjoint, matrix
from linop.operators.indexing.padding import Padding
from linop.operators.stencils.correlation import Correlation
from linop.operators.stencils.finite_difference import FiniteDifference, Scheme
from linop.testing import Expression, assert_operator, finite_differences
from linop.testing.operators.stencils import difference_cases

pytestmark = pytest.mark.serial

SCHEMES: tuple[Scheme, ...] = ("forward", "backward", "central")


# -- properties --------------------------------------------------------------------------------------------------------


@given(finite_differences())
def test_differences_are_those_of_numpy(expression: Expression) -> None:
    """The matrix is NumPy's differences of basis vectors, padded by NumPy; all checks pass."""
    A = expression.operator
    assert A.codomain == Euclidean(A.codomain.shape, A.domain.dtype, A.domain.field)
    assert_operator(*expression)


@given(st.sampled_from(SCHEMES), st.integers(1, 4), st.sampled_from([0.5, 1.0, 2.0]))
def test_polynomials_are_differentiated(scheme: Scheme, order: int, spacing: float) -> None:
    """The n-th derivative of t^n is n!; in the middle of a central scheme, that of t^(n+1) is (n+1)! t."""
    t = spacing * np.arange(8.0)
    D = FiniteDifference(Euclidean(8), order=order, scheme=scheme, spacing=spacing)
    assert set(D(t**order).tolist()) == {math.factorial(order)}
    for lower in range(order):
        assert not D(t**lower).any()
    if scheme == "central":
        outside = (8 - D.codomain.size) // 2
        np.testing.assert_array_equal(D(t ** (order + 1)), math.factorial(order + 1) * t[outside:-outside])


@given(st.integers(1, 6), st.integers(1, 3))
def test_schemes_mirror_each_other(n: int, order: int) -> None:
    """On a circle, the adjoint of the forward difference is the backward one, up to the sign (-1)^order."""
    forward, backward, central = (
        matrix(FiniteDifference(Euclidean(n), order=order, scheme=scheme, boundary="periodic")) for scheme in SCHEMES
    )
    np.testing.assert_array_equal(forward.T, (-1) ** order * backward)
    np.testing.assert_array_equal(central.T, (-1) ** order * central)


@given(st.integers(1, 6), st.integers(1, 2), st.integers(1, 2))
def test_orders_add(n: int, first: int, second: int) -> None:
    """On a circle, a difference of a difference is the one of both orders; forward and backward make a central one."""
    X = Euclidean(n)

    def entries(scheme: Scheme, order: int) -> np.ndarray:
        return matrix(FiniteDifference(X, order=order, scheme=scheme, boundary="periodic"))

    for scheme in ("forward", "backward"):
        both = entries(scheme, first) @ entries(scheme, second)
        np.testing.assert_array_equal(both, entries(scheme, first + second))
    np.testing.assert_array_equal(entries("forward", first) @ entries("backward", first), entries("central", 2 * first))


@given(difference_cases(), st.booleans(), st.booleans())
def test_weighted_spaces(case: tuple[Space, int, Any], left: bool, right: bool) -> None:
    """With weights W, the matrix of A.H is W_X^-1 A^H W_Y; powers of two keep it exact."""
    domain, axis, options = case
    plain = FiniteDifference(domain, axis, **options)
    assert plain.exact
    X = Weighted(domain, 0.5) if left else domain
    Y = Weighted(plain.codomain, 4.0) if right else plain.codomain
    A = FiniteDifference(X, axis, codomain=Y, **options)
    factor = (4.0 if right else 1.0) / (0.5 if left else 1.0)
    np.testing.assert_array_equal(matrix(A.H), factor * matrix(plain).conj().T)
    assert check_adjoint(A)


# -- examples ----------------------------------------------------------------------------------------------------------


def test_it_is_the_expression() -> None:
    """It is the scaled correlation of the padded array, nothing else."""
    X = Euclidean((3, 5))
    padding = Padding(X, [(0, 0), (2, 2)], boundary="reflect")
    stencil = np.array([[-0.5, 1.0, 0.0, -1.0, 0.5]])
    expected = 2.0**-3 * Correlation(padding.codomain, stencil, codomain=X) @ padding
    assert FiniteDifference(X, order=3, scheme="central", boundary="reflect", spacing=2) == expected
    assert str(expected) == "0.125 * Correlation(1x5) @ Padding(((0, 0), (2, 2)), reflect)"
    assert FiniteDifference(X, 0) == Correlation(X, [[-1.0], [1.0]])


def test_weights_stay() -> None:
    """Where the shape stays, a weighted domain is the codomain too; where it does not, there are no weights."""
    X = Weighted(Euclidean(5), [1.0, 2.0, 4.0, 2.0, 1.0])
    assert FiniteDifference(X, boundary="edge").codomain == X
    assert FiniteDifference(X).codomain == Euclidean(4)


def test_as_short_as_can_be() -> None:
    """Where the axis is as long as the stencil reaches, the result is empty; an empty axis may be padded with zeros."""
    assert FiniteDifference(Euclidean((2, 3)), order=3).codomain == Euclidean((2, 0))
    assert FiniteDifference(Euclidean((2, 0)), boundary="zero").codomain == Euclidean((2, 0))
    assert FiniteDifference(Euclidean((2, 0)), 0).codomain == Euclidean((1, 0))


def test_spacing_that_is_not_exact() -> None:
    """One tenth is divided by as NumPy divides, up to one rounding of the scale and one of the product."""
    x = np.arange(6.0) ** 2
    found = FiniteDifference(Euclidean(6), spacing=0.1)(x)
    np.testing.assert_allclose(found, np.diff(x) / 0.1, rtol=4 * np.finfo(float).eps, atol=0)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "options", "match"),
    [
        (Euclidean(2), {"order": 3}, "reaches over 3 steps, found 2 entries along axis 0"),
        (Euclidean((5, 1)), {"scheme": "central"}, "reaches over 2 steps, found 1 entries along axis 1"),
        (Euclidean((5, 0)), {"boundary": "edge"}, "an axis without entries"),
        (Euclidean((5, 5)), {"axis": 2}, "expected one of its 2 axes, found 2"),
        (Euclidean((5, 5)), {"axis": -3}, "expected one of its 2 axes, found -3"),
        (Euclidean(()), {}, "expected one of its 0 axes, found -1"),
        (Euclidean(5), {"order": 0}, "one or more, found 0"),
        (Euclidean(5), {"spacing": 0}, "positive and finite.*found 0"),
        (Euclidean(5), {"spacing": -1.0}, "found -1.0"),
        (Euclidean(5), {"spacing": np.inf}, "found inf"),
        (Euclidean(5), {"spacing": 1e-200, "order": 2}, "its power -2, found 1e-200"),
        (Euclidean(5), {"codomain": Euclidean(5)}, r"expected a codomain of shape \(4,\)"),
        (Euclidean(5), {"boundary": "edge", "codomain": Euclidean(4)}, r"expected a codomain of shape \(5,\)"),
        (Product(Euclidean(5)), {}, "space of arrays"),
    ],
)
def test_what_is_refused(domain: Space, options: Any, match: str) -> None:
    """The error names the domain, what was found and what was expected."""
    with pytest.raises(SpaceError, match=match) as caught:
        FiniteDifference(domain, **options)
    assert str(domain) in str(caught.value)


def test_what_is_no_space() -> None:
    """A shape is no space."""
    with pytest.raises(TypeError, match="FiniteDifference"):
        FiniteDifference((3,))  # type: ignore[arg-type]
