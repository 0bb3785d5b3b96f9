"""`simplify` gives the same map, exactly where arithmetic is exact, and never a dearer one."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    FFT,
    BlockDiagonal,
    Circulant,
    Compose,
    Conjugation,
    Correlation,
    CumulativeSum,
    Diagonal,
    Euclidean,
    FunctionOperator,
    HStack,
    Identity,
    Inverse,
    Kron,
    LinearOperator,
    Matrix,
    Padding,
    Permute,
    Product,
    Reshape,
    Restriction,
    SparseMatrix,
    VStack,
    Weighted,
    Zero,
    cost,
    derivation,
    inverse,
    matrix,
    rule,
    simplify,
)
from linop.rewriting.engine import _rules, _rules_for
from linop.testing import Expression, Extreme, expressions, extreme_expressions, spaces_of_a_tree
from linop.testing.expressions import EXTREMES

pytestmark = pytest.mark.serial

X, Y, C = Euclidean((2, 3)), Euclidean(4), Euclidean(4, complex)
A, B = SparseMatrix(scipy.sparse.eye_array(4, k=1), Y, Y), Correlation(Y, [1, 2, 3], padding="same")
D, E = Diagonal([1.0, 2.0, 3.0, 4.0]), Diagonal([2.0, 0.0, 1.0, 5.0])
F = FFT(C, norm="ortho")
S = Restriction(Y, [3, 1, 2])
W = Weighted(Y, [1.0, 2.0, 3.0, 7.0])


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    """Return trees in which rules find something: twice the same operator, and adjoints beside it."""
    spaces = draw(spaces_of_a_tree())
    space = draw(st.sampled_from(spaces))
    first, second = draw(expressions(space, space, 2)), draw(expressions(space, space, 1))
    a, b = first.operator, second.operator
    P, Q = first.matrix, second.matrix
    shapes = [
        (a @ b, P @ Q),
        (a + a @ b, P + P @ Q),
        (2 * a @ b - b @ b, 2 * P @ Q - Q @ Q),
        (BlockDiagonal(a, b) @ VStack(b, a), np.vstack([P @ Q, Q @ P])),
        (HStack(a, b) @ VStack(b, b), P @ Q + Q @ Q),
        (HStack(a @ b, a), np.hstack([P @ Q, P])),
        (b @ a.dual @ a, Q @ P.conj().T @ P),
    ]
    return Expression(*draw(st.sampled_from(shapes)))


@given(trees())
def test_the_same_map_and_no_dearer(tree: Expression) -> None:
    """The matrix stays the same, bit by bit; the cost does not grow; once is enough."""
    simpler = simplify(tree.operator)
    assert (simpler.domain, simpler.codomain) == (tree.operator.domain, tree.operator.codomain)
    np.testing.assert_array_equal(matrix(simpler), tree.matrix)
    np.testing.assert_array_equal(matrix(simpler.H), matrix(tree.operator.H))
    assert cost(simpler) <= cost(tree.operator)
    assert simplify(simpler) == simpler


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (F.H @ F, Identity(C)),
        (D @ E.dual, Diagonal([2.0, 0.0, 3.0, 20.0])),
        (FFT(C).H @ FFT(C), 4 * Identity(C)),
        (inverse(FFT(C)) @ FFT(C), Identity(C)),
        (Conjugation(Euclidean(2, complex, "real")) ** 2, Identity(Euclidean(2, complex, "real"))),
        (S @ S.H, Identity(S.codomain)),
        (Padding(Y, 1).H @ Padding(Y, 1), Identity(Y)),
        (Diagonal([1.0, 0.0, 1.0, 1.0]) @ Diagonal([1.0, 0.0, 1.0, 1.0]), Diagonal([1.0, 0.0, 1.0, 1.0])),
        (Diagonal([1.0, 0.5]) @ Diagonal([1.0, 2.0]), Identity(Euclidean(2))),
        (Restriction(Euclidean(3), [2, 0]) @ S, Restriction(Y, [2, 3])),
        (Permute(Euclidean((3, 2)), (1, 0)) @ Permute(X, (1, 0)), Identity(X)),
        (
            Permute(Euclidean((3, 4, 2)), (1, 2, 0)) @ Permute(Euclidean((2, 3, 4)), (1, 2, 0)),
            Permute(Euclidean((2, 3, 4)), (2, 0, 1)),
        ),
        (Reshape(Euclidean(6), (3, 2)) @ Reshape(X, 6), Reshape(X, (3, 2))),
        (Reshape(Euclidean(6), (2, 3)) @ Reshape(X, 6), Identity(X)),
        (Inverse(B) @ B, Identity(Y)),
        (B @ Inverse(A + B) @ (A + B) @ A, B @ A),
        ((A + B) @ Inverse(A + B), Identity(Y)),
        (Kron(A, B) @ Kron(B, A), Kron(A @ B, B @ A)),
        (Kron(Identity(Y), Identity(X)), Identity(Euclidean((4, 2, 3)))),
        (Kron(2 * A, -1 * B), -2 * Kron(A, B)),
        (Kron(A, Zero(X, Y)), Zero(Euclidean((4, 2, 3)), Euclidean((4, 4)))),
        (BlockDiagonal(A, B) @ BlockDiagonal(B, A), BlockDiagonal(A @ B, B @ A)),
        (BlockDiagonal(Identity(X), Identity(Y)), Identity(Product(X, Y))),
        (HStack(A, B) @ VStack(B, A), A @ B + B @ A),
        (VStack(A @ B, B @ B, B), VStack(A, B, Identity(Y)) @ B),
        (HStack(A @ B, A), A @ HStack(B, Identity(Y))),
        (A + A, 2 * A),
        (3 * A - 2 * A, A),
        (A - A, Zero(Y, Y)),
        (A @ B + A @ D, A @ (B + D)),
        (A @ B - 2 * D @ B, (A + Diagonal([-2.0, -4.0, -6.0, -8.0])) @ B),
        (2 * D + 3 * Identity(Y), Diagonal([5.0, 7.0, 9.0, 11.0])),
        (D + A + E, Diagonal([3.0, 2.0, 4.0, 9.0]) + A),
        (2 * A @ D @ B, A @ Diagonal([2.0, 4.0, 6.0, 8.0]) @ B),
        (Matrix(np.ones((1, 9))) @ Matrix(np.ones((9, 2))), Matrix(np.full((1, 2), 9.0))),
        (Circulant([1.0, 2.0]) @ Circulant([0.0, 1.0]) - Circulant([2.0, 1.0]), None),
    ],
)
def test_rules(expression: LinearOperator, expected: LinearOperator | None) -> None:
    """Each rule makes of an expression what algebra makes of it."""
    simpler = simplify(expression)
    if expected is not None:
        if isinstance(expected, Diagonal) or "Diagonal" in str(expected):
            np.testing.assert_array_equal(matrix(simpler), matrix(expected))
            assert str(simpler) == str(expected)
        else:
            assert simpler == expected
    np.testing.assert_allclose(matrix(simpler), matrix(expression), atol=1e-12)
    assert cost(simpler) <= cost(expression)


@pytest.mark.parametrize(
    "expression",
    [
        Matrix(np.ones((9, 1))) @ Matrix(np.ones((1, 9))),  # the product is larger
        A @ B,
        D @ A,
        CumulativeSum(Y) @ D,
        S.H @ S,
        F @ F,
        Padding(Y, 1, boundary="edge").H @ Padding(Y, 1, boundary="edge"),
        VStack(A, B) @ B,
    ],
)
def test_what_stays_as_it_is(expression: LinearOperator) -> None:
    """What is no simpler, or is not known to be the same, stays."""
    assert simplify(expression) == expression


def test_weights_that_commute_meet_their_inverse() -> None:
    """On weighted spaces, the adjoint of a real diagonal is simplified to itself; of any operator, under one number."""
    diagonal = Diagonal([1.0, 2.0, 3.0, 4.0], W)
    assert diagonal.H != diagonal == simplify(diagonal.H)
    N = Weighted(Y, 3.0)
    C = Correlation(N, [1, 2, 3], padding="same")
    assert simplify(C.H) == C.dual
    assert simplify(Correlation(W, [1, 2, 3], padding="same").H) == Correlation(W, [1, 2, 3], padding="same").H


def test_users_write_rules() -> None:
    """A rule is found by the types of neighbours, or of a node, and those of their bases."""

    def shift(steps: int) -> FunctionOperator:
        forward, backward = (lambda x, k=k: np.roll(x, k) for k in (steps, -steps))
        return FunctionOperator(Y, Y, forward, backward, name=f"Shift({steps})", exact=True, roundings=0)

    try:

        @rule(FunctionOperator, FunctionOperator)
        def shifts(left: Any, right: Any) -> LinearOperator:
            steps = [int(str(side)[6:-1]) for side in (left, right)]
            return shift(sum(steps))

        @rule(FunctionOperator)
        def whole_turn(node: Any) -> LinearOperator | None:
            return Identity(Y) if str(node) == "Shift(4)" else None

        assert str(simplify(A @ shift(1) @ shift(2) @ B)) == str(A @ shift(3) @ B)
        assert simplify(A @ shift(1) @ shift(2) @ shift(1) @ B) == A @ B
    finally:
        del _rules[FunctionOperator, FunctionOperator], _rules[(FunctionOperator,)]
        _rules_for.cache_clear()
    assert isinstance(simplify(shift(1) @ shift(3)), Compose)


def test_a_dearer_rewriting_is_not_taken() -> None:
    """Rules propose, the cost decides."""
    try:

        @rule(Correlation)
        def dearer(node: Correlation) -> LinearOperator:
            return Matrix(matrix(node), node.domain, node.codomain) @ Matrix(np.eye(4), node.domain, node.domain)

        assert simplify(B) == B
    finally:
        del _rules[(Correlation,)]
        _rules_for.cache_clear()


def test_what_is_no_rule() -> None:
    """A rule is of one type or two."""
    with pytest.raises(TypeError, match="one type or two"):
        rule()
    with pytest.raises(TypeError, match="one type or two"):
        rule(Matrix, Matrix, Matrix)


@given(trees())
def test_a_derivation_leads_to_the_result(tree: Expression) -> None:
    """Every step of a derivation keeps the map and costs no more; the last word is that of simplify."""
    result, steps = derivation(tree.operator)
    assert result == simplify(tree.operator)
    for step in steps:
        np.testing.assert_array_equal(matrix(step.before), matrix(step.after))
        assert cost(step.after) <= cost(step.before)
        assert step.why


def test_another_measure_decides_otherwise() -> None:
    """What a rewriting must not raise is the caller's choice: here, the number of factors, or nothing at all."""

    def numbers_stored(operator: LinearOperator) -> int:
        return sum(node.entries.size for node in getattr(operator, "factors", (operator,)) if isinstance(node, Matrix))

    u, v = Matrix(np.ones((4, 1))), Matrix(np.ones((1, 4)))
    assert simplify(u @ v, by=numbers_stored) == u @ v
    assert simplify(u @ v, by=lambda _: 0) == Matrix(np.ones((4, 4)))


def test_long_products_meet_in_one_sweep() -> None:
    """A product of a hundred factors and a sum of a hundred terms take few rewritings more than they have parts."""
    product, steps = derivation(Compose(*(100 * [D])))
    assert isinstance(product, Diagonal)
    assert len(steps) <= 101
    total, steps = derivation(sum((k * B for k in range(2, 100)), B))
    assert total == 4950 * B
    assert len(steps) == 1


@given(extreme_expressions(), st.lists(st.sampled_from(EXTREMES), min_size=2, max_size=2))
def test_tiny_and_huge_numbers(tree: Extreme, entries: list[float]) -> None:
    """Rewriting keeps the map where products of numbers over- or underflow, and loses no entry."""
    x, exact = np.array(entries), np.array([Fraction(entry) for entry in entries], dtype=object)
    expected, bound = tree.matrix @ exact, tree.bound @ abs(exact)
    with np.errstate(all="ignore"):
        if not _is_near(tree.operator(x), expected, bound):
            return  # floating arithmetic cannot do it as it was written
        assert _is_near(simplify(tree.operator)(x), expected, bound)


def _is_near(found: np.ndarray, expected: np.ndarray, bound: np.ndarray) -> bool:
    """Say whether floating numbers are those expected, but for roundings."""
    return bool(np.all(np.isfinite(found))) and all(
        abs(Fraction(float(a)) - b) <= size / 10**12 for a, b, size in zip(found, expected, bound, strict=True)
    )


@pytest.mark.parametrize("power", [600, -600])
def test_numbers_that_cannot_be_multiplied_stay_apart(power: int) -> None:
    """Scalars, diagonals, matrices and circulants are not merged where that would lose a number."""
    number, x = 2.0**power, np.array([2.0**-power, 0.0])
    one = Identity(Euclidean(2))
    entries = [number, 1.0]
    for A in (number * one, Diagonal(entries), Matrix(np.diag(entries)), Circulant([number, 0.0])):
        np.testing.assert_array_equal(simplify(A @ A)(x), A(A(x)))
        np.testing.assert_array_equal(simplify(A @ A.H - 3 * (A @ A))(x), -2 * A(A(x)))
    assert not isinstance(number * (number * one), Zero)
    np.testing.assert_array_equal((number * (number * one))(x), number * (number * x))
    np.testing.assert_array_equal((number * one - number * one)(x), 0 * x)
