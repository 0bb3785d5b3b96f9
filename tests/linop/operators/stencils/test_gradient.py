"""The gradient is the stack of finite differences; its adjoint is minus a divergence."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from linop import Euclidean, Product, Space, SpaceError, Weighted, check_adjoint, matrix
from linop.blocks.stack import VStack
from linop.operators.stencils.finite_difference import FiniteDifference
from linop.operators.stencils.gradient import Gradient
from linop.testing import Expression, assert_operator, euclidean_spaces, gradients

pytestmark = pytest.mark.serial


# -- properties --------------------------------------------------------------------------------------------------------


@given(gradients())
def test_differences_along_each_axis_are_those_of_numpy(expression: Expression) -> None:
    """The matrix is NumPy's differences of basis vectors along one axis after the other; all checks pass."""
    A = expression.operator
    X, Y = A.domain, A.codomain
    assert isinstance(Y, Product)
    assert Product(*(Euclidean(shape, X.dtype, X.field) for shape in Y.shape)) == Y
    assert_operator(*expression)


@given(euclidean_spaces(min_ndim=1, max_extent=5))
def test_central_differences_are_those_of_numpy(domain: Space) -> None:
    """Inside of the array, the central scheme is numpy.gradient."""
    assume(all(n >= 3 for n in domain.shape))
    x = domain.integers(0)
    expected = np.gradient(x) if domain.ndim > 1 else (np.gradient(x),)
    found = Gradient(domain, scheme="central", boundary="edge")(x)
    inside = (slice(1, -1),) * domain.ndim
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a[inside], b[inside])


@given(euclidean_spaces(min_ndim=1), st.sampled_from([0.5, 1.0, 2.0]))
def test_divergence_of_the_gradient(domain: Space, spacing: float) -> None:
    """On a torus, G.H G is minus the Laplacian: the sum of the central second differences."""
    assume(0 not in domain.shape)
    G = Gradient(domain, boundary="periodic", spacing=spacing)
    laplacian = sum(
        matrix(FiniteDifference(domain, k, order=2, scheme="central", boundary="periodic", spacing=spacing))
        for k in range(domain.ndim)
    )
    np.testing.assert_array_equal(matrix(G.H @ G), -np.asarray(laplacian))


@given(euclidean_spaces(min_ndim=1), st.booleans(), st.booleans())
def test_weighted_spaces(domain: Space, left: bool, right: bool) -> None:
    """With weights W, the matrix of A.H is W_X^-1 A^H W_Y; powers of two keep it exact."""
    plain = Gradient(domain, boundary="zero")
    assert isinstance(plain.codomain, Product)
    X = Weighted(domain, 0.5) if left else domain
    weights = [2.0**k if right else 1.0 for k in range(1, domain.ndim + 1)]
    parts = [Weighted(part, w) if right else part for part, w in zip(plain.codomain.parts, weights, strict=True)]
    A = Gradient(X, boundary="zero", codomain=Product(*parts))
    W_Y = np.repeat(weights, domain.size)
    np.testing.assert_array_equal(matrix(A.H), matrix(plain).conj().T * W_Y / (0.5 if left else 1.0))
    assert check_adjoint(A)


# -- examples ----------------------------------------------------------------------------------------------------------


def test_it_is_the_stack() -> None:
    """It is the stack of the finite differences with the same options, one spacing for each axis."""
    X = Euclidean((3, 4))
    expected = VStack(
        FiniteDifference(X, 1, order=2, scheme="central", boundary="reflect", spacing=2.0),
        FiniteDifference(X, 0, order=2, scheme="central", boundary="reflect", spacing=0.5),
    )
    found = Gradient(X, axes=(-1, 0), order=2, scheme="central", boundary="reflect", spacing=[2.0, 0.5])
    assert found == expected
    assert hash(found) == hash(expected)
    assert found != Gradient(X, axes=(-1, 0), order=2, scheme="central", boundary="reflect")
    assert str(Gradient(X)) == "VStack(Correlation(2x1), Correlation(1x2))"


def test_one_axis() -> None:
    """Along one axis the result is a tuple still."""
    (found,) = Gradient(Euclidean(3))(np.array([1.0, 2.0, 4.0]))
    assert found.tolist() == [1.0, 2.0]


def test_the_divergence_of_chambolle() -> None:
    """The adjoint is minus the divergence of his paper: p_i - p_(i-1), without the first p_(i-1) and the last p_i."""
    G = Gradient(Euclidean((3, 3)), boundary="edge")
    p = G.codomain.integers(0)
    divergence = np.zeros((3, 3))
    for part, axis in zip(p, (0, 1), strict=True):
        q, out = np.moveaxis(part, axis, 0), np.zeros((3, 3))
        out[0], out[1], out[2] = q[0], q[1] - q[0], -q[1]
        divergence += np.moveaxis(out, 0, axis)
    np.testing.assert_array_equal(G.H(p), -divergence)


def test_weights_stay() -> None:
    """Where the shapes stay, every part of the codomain is the weighted domain."""
    X = Weighted(Euclidean((2, 2)), 3.0)
    assert Gradient(X, boundary="zero").codomain == Product(X, X)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "options", "match"),
    [
        (Euclidean(()), {}, "one axis or more"),
        (Euclidean(3), {"axes": ()}, "one axis or more"),
        (Euclidean(3), {"axes": (1,)}, "one of its 1 axes, found 1"),
        (Euclidean((3, 3)), {"spacing": (1.0, 1.0, 1.0)}, "one spacing for each of 2 axes"),
        (Euclidean((3, 3)), {"spacing": (1.0, 0.0)}, "found 0.0"),
        (Euclidean((3, 0)), {}, "found 0 entries along axis 1"),
        (Euclidean((3, 3)), {"codomain": Product(Euclidean((2, 3)))}, "one space for each"),
        (Euclidean(3), {"codomain": Product(Euclidean(3))}, r"expected a codomain of shape \(2,\)"),
        (Product(Euclidean(3)), {}, "space of arrays"),
    ],
)
def test_what_is_refused(domain: Space, options: Any, match: str) -> None:
    """The error names the domain, what was found and what was expected."""
    with pytest.raises(SpaceError, match=match) as caught:
        Gradient(domain, **options)
    assert str(domain) in str(caught.value)


def test_what_is_no_space() -> None:
    """A shape is no space."""
    with pytest.raises(TypeError, match="Gradient"):
        Gradient((3,))  # type: ignore[arg-type]
