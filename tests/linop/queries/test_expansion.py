"""An expression is the sum of its expansion."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Diagonal, Euclidean, Identity, Matrix, Scale, Sum, Weighted, matrix
from linop.core.parts import parts
from linop.queries.expansion import LIMIT, exact, expansion
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial

A, B, C = Matrix([[1.0, 2.0], [3.0, 4.0]]), Matrix([[0.0, 1.0], [0.0, 0.0]]), Matrix([[1.0, 0.0], [5.0, 0.0]])


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


@given(trees())
def test_the_sum_of_the_terms(tree: Expression) -> None:
    """The matrix of an expression is the sum of those of the terms, none of which has a sum among its factors."""
    terms = expansion(tree.operator)
    if terms is None:
        return
    total = sum((scalar.rounded * matrix(term) for term, scalar in terms.items()), np.zeros_like(tree.matrix))
    np.testing.assert_array_equal(total, tree.matrix)
    for term, scalar in terms.items():
        assert scalar
        assert not isinstance(term, Sum | Scale)
        assert not any(isinstance(factor, Sum) for factor in parts(term)) or not hasattr(term, "factors")


def test_like_terms_meet() -> None:
    """Terms that are the same are counted together, and those that cancel are gone."""
    assert expansion((A + B) @ (A - B)) == {A @ A: exact(1), B @ A: exact(1), A @ B: exact(-1), B @ B: exact(-1)}
    assert expansion((A + B) @ C - A @ C - 2 * B @ C) == {B @ C: exact(-1)}
    assert expansion(A - A) == {}
    assert expansion(0 * A) == {}


def test_no_number_is_lost() -> None:
    """Numbers are exact: none vanishes beside a larger one, or underflows."""
    assert expansion(1e200 * A + A - 1e200 * A) == {A: exact(1)}
    assert expansion((1e-200 * A) @ (1e-200 * B)) == {A @ B: exact(1e-200) * exact(1e-200)}


def test_symmetric_factors() -> None:
    """The adjoint of a symmetric matrix is the matrix."""
    S = Matrix([[1.0, 2.0], [2.0, 1.0]])
    assert expansion(S.H @ A) == {S @ A: exact(1)}


def test_weights_cancel() -> None:
    """Riesz maps that meet their inverses leave nothing."""
    X = Weighted(Euclidean(2), [1.0, 4.0])
    D = Matrix([[1.0, 2.0], [3.0, 4.0]], X, X)
    assert expansion((D + D.H).H) == expansion(D + D.H)
    assert len(expansion(D + D.H) or ()) == 2


def test_complex_numbers_stay_in_place_in_a_real_space() -> None:
    """There a complex number need not commute with an operator, so it stays where it stands."""
    X = Euclidean(1, complex, field="real")
    flip = Matrix([[1.0, 0.0], [0.0, -1.0]], X, X)
    assert expansion(1j * Identity(X) @ flip) != expansion(flip @ (1j * Identity(X)))
    total = sum(scalar.rounded * matrix(term) for term, scalar in (expansion(flip @ (1j * flip + flip)) or {}).items())
    np.testing.assert_array_equal(total, matrix(flip @ (1j * flip + flip)))
    turned = flip @ (1j * Identity(X)) @ ((1 + 1j) * Identity(X) + flip)
    total = sum(scalar.rounded * matrix(term) for term, scalar in (expansion(turned) or {}).items())
    np.testing.assert_array_equal(total, matrix(turned))


def test_a_limit() -> None:
    """A product of many sums is given up."""
    D = [Diagonal([float(k), 1.0]) @ A for k in range(2, 12)]
    assert len(expansion(sum(D[1:], D[0]) @ sum(D[1:], D[0])) or ()) == LIMIT
    assert expansion(sum(D[1:], D[0]) @ sum(D[1:], D[0]) @ (A + B)) is None
    assert expansion(Sum(*(D * (LIMIT // 10)), A @ D[0] @ B)) is not None
    assert sys.modules["linop.queries.expansion"].LIMIT == LIMIT
