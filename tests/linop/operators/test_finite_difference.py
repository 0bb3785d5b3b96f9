"""Finite differences are those of NumPy, and differentiate polynomials."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from linop import Euclidean, Product, Space, SpaceError, Weighted, check_adjoint, matrix
from linop.operators.correlation import Correlation
from linop.operators.finite_difference import Boundary, FiniteDifference, Scheme
from linop.operators.padding import Padding
from linop.testing import assert_operator, dense, euclidean_spaces

pytestmark = pytest.mark.serial

SCHEMES: tuple[Scheme, ...] = ("forward", "backward", "central")
BOUNDARIES: dict[Boundary, str] = {"zero": "constant", "periodic": "wrap", "reflect": "reflect", "edge": "edge"}


def by_numpy(x: np.ndarray, axis: int, order: int, scheme: str, boundary: str, spacing: float) -> np.ndarray:
    """Return numpy.diff of an array that numpy.pad made longer; of odd order and central, numpy.gradient of that."""
    before = {"forward": 0, "backward": order, "central": (order + 1) // 2}[scheme]
    after = {"forward": order, "backward": 0, "central": (order + 1) // 2}[scheme]
    if boundary != "valid":
        width = [(before, after) if k == axis % x.ndim else (0, 0) for k in range(x.ndim)]
        x = np.pad(x, width, mode=BOUNDARIES[boundary])  # type: ignore[index, call-overload]
    if scheme != "central" or order % 2 == 0:
        return np.diff(x, n=order, axis=axis) / spacing**order
    once_less = np.diff(x, n=order - 1, axis=axis) / spacing ** (order - 1)
    inside = [slice(1, -1) if k == axis % x.ndim else slice(None) for k in range(x.ndim)]
    if once_less.shape[axis] == 2:  # nothing is inside, and numpy.gradient has no names for what it does there
        return once_less[tuple(inside)]
    return np.asarray(np.gradient(once_less, spacing, axis=axis))[tuple(inside)]


class Case(NamedTuple):
    domain: Space
    axis: int
    options: dict[str, Any]

    @property
    def operator(self) -> Any:
        return FiniteDifference(self.domain, self.axis, **self.options)


@st.composite
def cases(draw: st.DrawFn, boundaries: tuple[str, ...] = ("valid", *BOUNDARIES)) -> Case:
    domain = draw(euclidean_spaces(min_ndim=1, max_extent=5))
    options = {
        "order": draw(st.integers(1, 4)),
        "scheme": draw(st.sampled_from(SCHEMES)),
        "boundary": draw(st.sampled_from(boundaries)),
        "spacing": draw(st.sampled_from([1, 0.5, 2.0])),  # powers of two keep it exact
    }
    axis = draw(st.integers(-domain.ndim, domain.ndim - 1))
    reach = options["order"] + (options["scheme"] == "central" and options["order"] % 2)
    least = {"valid": reach, "zero": 0}.get(options["boundary"], 1)
    assume(domain.shape[axis] >= least)
    return Case(domain, axis, options)


# -- properties --------------------------------------------------------------------------------------------------------


@given(cases())
def test_differences_are_those_of_numpy(case: Case) -> None:
    """The matrix is NumPy's differences of basis vectors, padded by NumPy; all checks pass."""
    A = case.operator
    assert A.exact
    assert A.codomain.shape == by_numpy(case.domain.zeros(), case.axis, **case.options).shape
    assert_operator(A, dense(lambda x: by_numpy(x, case.axis, **case.options), case.domain, A.codomain))


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


@given(cases(), st.booleans(), st.booleans())
def test_weighted_spaces(case: Case, left: bool, right: bool) -> None:
    """With weights W, the matrix of A.H is W_X^-1 A^H W_Y; powers of two keep it exact."""
    plain = case.operator
    X = Weighted(case.domain, 0.5) if left else case.domain
    Y = Weighted(plain.codomain, 4.0) if right else plain.codomain
    A = FiniteDifference(X, case.axis, codomain=Y, **case.options)
    factor = (4.0 if right else 1.0) / (0.5 if left else 1.0)
    np.testing.assert_array_equal(matrix(A.H), factor * matrix(plain).conj().T)
    assert check_adjoint(A)


# -- examples ----------------------------------------------------------------------------------------------------------


def test_it_is_the_expression() -> None:
    """It is the scaled correlation of the padded array, nothing else."""
    X = Euclidean((3, 5))
    padding = Padding(X, [(0, 0), (2, 2)], mode="reflect")
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
        (Euclidean((5, 5)), {"axis": 0.5}, r"expected one of its 2 axes, found 0\.5"),
        (Euclidean(()), {}, "expected one of its 0 axes, found -1"),
        (Euclidean(5), {"order": 0}, "one or more, found 0"),
        (Euclidean(5), {"order": 1.5}, r"one or more, found 1\.5"),
        (Euclidean(5), {"scheme": "upwind"}, "'forward', 'backward' or 'central', found 'upwind'"),
        (Euclidean(5), {"boundary": "wrap"}, "'periodic', .*found 'wrap'"),
        (Euclidean(5), {"boundary": None}, "found None"),
        (Euclidean(5), {"spacing": 0}, "positive and finite.*found 0"),
        (Euclidean(5), {"spacing": -1.0}, "found -1.0"),
        (Euclidean(5), {"spacing": np.nan}, "found nan"),
        (Euclidean(5), {"spacing": np.inf}, "found inf"),
        (Euclidean(5), {"spacing": 1e-200, "order": 2}, "its power -2, found 1e-200"),
        (Euclidean(5), {"spacing": 1j}, "found 1j"),
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
