"""Expressions of operators are the matrices they should be; their adjoints follow; nothing is lost in the algebra."""

import operator as op
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Block,
    Compose,
    Diagonal,
    Euclidean,
    FunctionOperator,
    HStack,
    Identity,
    LinearOperator,
    LinopError,
    Matrix,
    Scale,
    SpaceError,
    Sum,
    Zero,
    assert_correct,
    check_adjoint,
    matrix,
)
from linop.testing import Expression, assert_operator, expressions, spaces_of_a_tree, weight_matrix

pytestmark = pytest.mark.serial

X, Y, Z = Euclidean((2, 3)), Euclidean(4), Euclidean(())


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


@given(trees())
def test_matrix_of_an_expression_and_of_its_adjoint(tree: Expression) -> None:
    """The matrix of an expression is the expression of the matrices; with weights, that of A.H is W_X^-1 a^H W_Y."""
    A, dense = tree
    np.testing.assert_array_equal(matrix(A), dense)
    np.testing.assert_array_equal(matrix(A.dual), dense.conj().T)
    inverse_weights = np.diag(1 / np.diag(weight_matrix(A.domain)))
    np.testing.assert_array_equal(matrix(A.H), inverse_weights @ dense.conj().T @ weight_matrix(A.codomain))


@given(trees())
def test_expressions_pass_every_check(tree: Expression) -> None:
    """Whatever was composed: adjoint, linearity, purity, batches, claims."""
    assert_correct(tree.operator)
    for mode in ("exact", "floating"):
        report = check_adjoint(tree.operator, mode=mode)
        assert report, str(report)


@given(trees())
def test_inner_products(tree: Expression) -> None:
    """inner(A x, y) == inner(x, A.H y), exactly: the weights are powers of two."""
    A = tree.operator
    x, y = A.domain.integers(0), A.codomain.integers(1)
    assert A.codomain.inner(A(x), y) == A.domain.inner(x, A.H(y))


@given(trees())
def test_adjoint_of_adjoint(tree: Expression) -> None:
    """A.H.H == A, and A.dual.dual == A: the same expressions, whatever the weights."""
    assert tree.operator == tree.operator.H.H
    assert tree.operator.dual.dual == tree.operator


@given(trees())
def test_on_every_kind_of_space_and_array(tree: Expression) -> None:
    """Without weights of their own, expressions are right under any weights, in any array library and precision."""
    A, dense = tree
    if not (A.domain.weighted or A.codomain.weighted):
        assert_operator(A, dense)


def test_precision_follows_the_argument() -> None:
    """A float32 vector of a float64 space stays float32."""
    A = 0.5 * Matrix(np.ones((3, 3))) + Identity(Euclidean(3))
    assert A(np.ones(3, np.float32)).dtype == np.float32
    assert A.H(np.ones(3, np.float32)).dtype == np.float32


# -- the algebra, as equations between expressions ---------------------------------------------------------------------

A, B, C = Matrix(np.ones((4, 6)), X, Y), Matrix(np.eye(4), Y, Y), Matrix(np.full((4, 4), 2.0), Y, Y)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((B @ C) @ A, B @ (C @ A)),
        ((B @ A).H, A.H @ B.H),
        ((B + C).H, B.H + C.H),
        ((2 * B).H, 2 * B.H),
        (Identity(Y) @ A @ Identity(X), A),
        (Zero(Y, Y) @ A, Zero(X, Y)),
        (B @ Zero(X, Y), Zero(X, Y)),
        (A + Zero(X, Y), A),
        (Zero(X, Y) + A, A),
        (2 * (3 * A), 6 * A),
        (A * 2, 2 * A),
        (A / 2, 0.5 * A),
        (-A, -1 * A),
        (1 * A, A),
        (0 * A, Zero(X, Y)),
        ((2 * B) @ A, 2 * (B @ A)),
        (B**3, B @ B @ B),
        (B**0, Identity(Y)),
        ((B + C) + B, B + (C + B)),
        (Identity(Y).H, Identity(Y)),
        (Zero(X, Y).H, Zero(Y, X)),
        (np.float64(2) * A, 2 * A),
        (Matrix([[1, 2]]), Matrix([[1.0, 2.0]])),
    ],
)
def test_equations(left: LinearOperator, right: LinearOperator) -> None:
    """Both sides are the same expression."""
    assert left == right
    assert hash(left) == hash(right)


def test_expressions_that_differ() -> None:
    """Equality is that of expressions, not of values: other entries, spaces or order make another operator."""
    assert Matrix([[1.0]]) != Matrix([[2.0]])
    assert B @ C != C @ B
    assert Zero(X, Y) != Zero(Y, X)
    assert Identity(Y) != B


def test_flat_chains() -> None:
    """Chains of products and of sums are one node."""
    assert isinstance((chain := B @ C @ B @ A), Compose)
    assert len(chain.factors) == 4
    assert isinstance((total := B + C + B), Sum)
    assert len(total.terms) == 3
    assert isinstance(2 * (2 * B), Scale)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (B @ A, "Matrix(4x4) @ Matrix(4x6)"),
        (0.5 * B.H @ B, "0.5 * Matrix(4x4).H @ Matrix(4x4)"),
        ((B + C) @ A, "(Matrix(4x4) + Matrix(4x4)) @ Matrix(4x6)"),
        ((B + C).H, "Matrix(4x4).H + Matrix(4x4).H"),
        (2 * (B + C), "2 * (Matrix(4x4) + Matrix(4x4))"),
        (B - C - 0.5 * B, "Matrix(4x4) - Matrix(4x4) - 0.5 * Matrix(4x4)"),
        (-(B - C), "-(Matrix(4x4) - Matrix(4x4))"),
        (B @ (2 * C), "2 * Matrix(4x4) @ Matrix(4x4)"),
        (Identity(Y) + Zero(Y, Y) + B, "Identity + Matrix(4x4)"),
    ],
)
def test_printing(expression: LinearOperator, text: str) -> None:
    """Expressions print as they are written; repr adds the spaces."""
    assert str(expression) == text
    assert repr(expression).endswith(f"{text} : {expression.domain} -> {expression.codomain}")


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("combine", [op.matmul, op.add, op.sub])
def test_spaces_that_do_not_meet(combine: Any) -> None:
    """Composing or adding operators of other spaces is an error that names the spaces."""
    with pytest.raises(SpaceError) as caught:
        combine(A, B)
    assert str(X) in str(caught.value)
    assert str(Y) in str(caught.value)


@pytest.mark.parametrize("x", [np.ones(4), np.ones((2, 3), complex), [1.0], np.ones(())])
def test_arguments_outside_the_domain(x: Any) -> None:
    """The error names the operator and its spaces."""
    with pytest.raises(SpaceError, match=r"Matrix\(4x6\) : Euclidean\(\(2, 3\), float64\) -> Euclidean\(\(4,\)"):
        A(x)


@pytest.mark.parametrize("other", [np.ones((4, 4)), "a", None])
def test_other_things_are_no_operators(other: Any) -> None:
    """Arrays are applied to, A(x), not multiplied."""
    for combine in (op.matmul, op.add, op.sub):
        with pytest.raises(TypeError):
            combine(B, other)
        with pytest.raises(TypeError):
            combine(other, B)
    with pytest.raises(TypeError):
        B * other
    with pytest.raises(TypeError):
        B / other


@pytest.mark.parametrize("scalar", [np.inf, np.nan, 1j])
def test_scalars_that_do_not_fit(scalar: Any) -> None:
    """Scalars are finite, and complex only between complex spaces."""
    with pytest.raises(ValueError, match=r"Scale|Matrix\(4x4\)"):
        scalar * B


def test_powers_that_do_not_exist() -> None:
    """A power needs a map from a space to itself and a whole exponent."""
    with pytest.raises(SpaceError, match="itself"):
        A**2
    with pytest.raises(TypeError):
        B**0.5  # type: ignore[operator]


def test_fields_that_differ() -> None:
    """A map between a real and a complex space is not linear over either field."""
    with pytest.raises(SpaceError, match="fields"):
        Zero(Euclidean(2), Euclidean(2, complex))
    with pytest.raises(SpaceError, match="complex"):
        Matrix(np.ones((2, 2), complex), Euclidean(2), Euclidean(2))


@pytest.mark.parametrize("entries", [np.ones(3), [["a"]], np.ones((2, 2, 2)), None])
def test_what_is_no_matrix(entries: Any) -> None:
    """A matrix has two axes of numbers."""
    with pytest.raises(LinopError, match="Matrix: expected entries to be"):
        Matrix(entries)


def test_matrix_of_another_size() -> None:
    """The error names both spaces and the shape."""
    with pytest.raises(SpaceError, match=r"expected 4 rows and 6 columns, found shape \(6, 4\)"):
        Matrix(np.ones((6, 4)), X, Y)


def test_matrix_keeps_its_entries() -> None:
    """An operator does not change when the array that it was made from does."""
    entries = np.eye(2)
    I2 = Matrix(entries)
    entries[:] = 7
    assert matrix(I2).tolist() == [[1, 0], [0, 1]]


KEPT = np.arange(4.0)
FIXED = np.arange(4.0)
FIXED.flags.writeable = False


@pytest.mark.parametrize("function", [lambda x: x, lambda x: x[:], lambda _: KEPT, lambda _: FIXED], ids=range(4))
def test_sums_overwrite_nothing_that_is_kept(function: Any) -> None:
    """A function that returns its argument, a part of it, or what it keeps, finds it as it was."""
    X = Euclidean(4)
    F = FunctionOperator(X, X, function, function, batched=True)
    D = Diagonal([1.0, 2.0, 3.0, 4.0])
    x = X.normal(0)
    before, kept = x.copy(), KEPT.copy()
    first = function(x) + D(x)
    for operator, argument in [(Sum(F, D), x), (HStack(F, D), (x, x)), (Block([[F, D], [F, D]]), (x, x))]:
        for _ in range(2):
            result = operator(argument)
            for part in result if isinstance(result, tuple) else (result,):
                np.testing.assert_array_equal(part, first)
            np.testing.assert_array_equal(x, before)
            np.testing.assert_array_equal(KEPT, kept)
