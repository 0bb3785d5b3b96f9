"""Expressions of any size: nothing is as deep as they are, and nothing takes longer than they are long."""

import pickle
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import reduce
from typing import Any

import numpy as np
import pytest

from linop import (
    Block,
    Correlation,
    Cost,
    Diagonal,
    Euclidean,
    HStack,
    Identity,
    Inverse,
    Kron,
    LinearOperator,
    Matrix,
    Permute,
    Reshape,
    Restriction,
    Sum,
    VStack,
    Weighted,
    check_adjoint,
    check_linear,
    condition_estimate,
    cost,
    derivation,
    diagonal,
    inverse,
    is_diagonal,
    is_isometry,
    is_positive,
    is_projection,
    is_self_adjoint,
    latex,
    matrix,
    norm_estimate,
    simplify,
    trace,
    tree,
)

pytestmark = pytest.mark.serial

X = Euclidean(2)
ONE = Identity(X)
A = Matrix([[0.0, 0.5], [0.25, 0.0]])
Y, N = Euclidean((1, 2)), Matrix([[0.5]])
S = Matrix([[0.5, 0.25], [0.25, 0.5]])
D = Diagonal([0.5, 0.25])
V = Permute(X, (0,), codomain=X) @ Restriction(X, [1, 0])
C = Correlation(X, [1.0, 2.0, 3.0], padding="same")

DEPTH = 400
"""More than functions may call each other, of which there are two or three a level; everything is tried."""

ENORMOUS = 10_000
"""What takes little for each level is tried at this depth."""

Grow = Callable[[LinearOperator], LinearOperator]


def grown(step: Grow, depth: int) -> LinearOperator:
    """Return what a step makes of a matrix when it is taken again and again."""
    found: LinearOperator = A
    for _ in range(depth):
        found = step(found)
    return found


DEEP: dict[str, Grow] = {
    "Horner's scheme": lambda p: p @ A + 0.5 * ONE,
    "Horner's scheme from the left": lambda p: S @ p + 0.5 * ONE,
    "differences": lambda p: D - p,
    "stacks": lambda p: 0.5 * HStack(p, ONE) @ VStack(ONE, D),
    "blocks": lambda p: HStack(ONE, D) @ Block([[p, None], [D, ONE]]) @ VStack(ONE, D) / 8,
    "Kronecker products": lambda p: Reshape(Y, 2, codomain=X) @ Kron(N, p) @ Reshape(X, (1, 2), codomain=Y) + ONE,
    "numbers that stay apart": lambda p: 1e-200 * (1e200 * p @ D) + ONE,
}

QUESTIONS: dict[str, Callable[[LinearOperator], Any]] = {
    "apply": lambda p: p(np.ones(2)),
    "apply the adjoint": lambda p: p.H(np.ones((3, 2))),
    "apply the adjoint's method": lambda p: p._apply_dual(np.ones(2)),
    "str": str,
    "repr": repr,
    "latex": latex,
    "tree": tree,
    "notebook": lambda p: p._repr_mimebundle_(),
    "hash": hash,
    "pickle": lambda p: pickle.loads(pickle.dumps(p)),
    "deepcopy": deepcopy,
    "cost": cost,
    "claims": lambda p: (p.exact, p.roundings, p.gain, p.claims),
    "is_self_adjoint": is_self_adjoint,
    "is_positive": is_positive,
    "is_isometry": is_isometry,
    "is_projection": is_projection,
    "is_diagonal": is_diagonal,
    "simplify": simplify,
    "derivation": derivation,
    "matrix": matrix,
    "diagonal": diagonal,
    "trace": trace,
    "norm_estimate": lambda p: norm_estimate(p, iterations=2),
    "condition_estimate": condition_estimate,
    "check_adjoint": check_adjoint,
    "check_linear": lambda p: check_linear(p, trials=1),
    "the inverse in words": lambda p: str(Inverse(p)),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("kind", ["Horner's scheme", "blocks"])
def test_no_depth_is_too_deep(kind: str, question: Callable[[LinearOperator], Any]) -> None:
    """Whatever can be asked of an expression can be asked of a deep one."""
    question(grown(DEEP[kind], DEPTH))


def test_enormous_depth() -> None:
    """Expressions of 10 000 levels are built, compared, written, priced, pickled and applied."""
    p, q = (grown(DEEP["differences"], ENORMOUS) for _ in range(2))
    assert p == q
    assert hash(p) == hash(q)
    assert str(p) == str(q)
    assert isinstance(cost(p), Cost)
    assert pickle.loads(pickle.dumps(p)) == p
    np.testing.assert_array_equal(p(np.ones(2)), q(np.ones(2)))
    assert p.H == q.H


@pytest.mark.parametrize("step", DEEP.values(), ids=DEEP)
def test_deep_expressions_are_the_maps_that_shallow_ones_are(step: Grow) -> None:
    """What is applied with a list of steps has the numbers of what is applied by functions that call each other."""
    x = np.array([1.0, -2.0])
    shallow, deep = grown(step, 10), grown(step, 100)
    expected = matrix(grown(step, 100))
    rounded = 1e-12 * float(np.abs(expected).sum(axis=1).max() * np.abs(x).max())  # of entries that may cancel
    np.testing.assert_allclose(deep(x), expected @ x, rtol=1e-12, atol=rounded)
    np.testing.assert_allclose(deep.dual(x), expected.T @ x, rtol=1e-12, atol=rounded)
    np.testing.assert_array_equal(shallow(x), _in_steps(shallow, x))


def _in_steps(operator: Any, x: np.ndarray) -> Any:
    from linop.core.expression import applied

    return applied(operator, x)


def test_inverses_inside_inverses() -> None:
    """An inverse of an expression with an inverse in it, and so on, is written, compared and priced."""
    p, q = (grown(lambda p: Inverse(p + ONE), DEPTH) for _ in range(2))
    assert p == q
    assert hash(p) == hash(q)
    assert len(str(p)) > DEPTH
    assert cost(p).flops > 0
    assert inverse(p) == p.operator  # type: ignore[attr-defined]


@pytest.mark.parametrize("depth", [5, 50, 500])
def test_what_is_known_does_not_depend_on_the_depth(depth: int) -> None:
    """A polynomial of a symmetric matrix is self-adjoint, whatever its degree; one of a matrix that is not, is not."""
    for M, known in ((S, True), (D, True), (A, False)):
        p: LinearOperator = M
        for _ in range(depth):
            p = p @ M + M
        assert is_self_adjoint(p) is known
        assert is_self_adjoint(p @ M - 3 * Identity(M.domain)) is known
    assert not is_self_adjoint(grown(lambda p: S @ p + D, depth) - A)


def calls(function: Callable[[], Any]) -> int:
    """Return how many functions are called."""
    count = 0

    def count_call(*_: Any) -> None:
        nonlocal count
        count += 1

    sys.setprofile(count_call)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


LONG: dict[str, Callable[[int], LinearOperator]] = {
    "a sum": lambda n: reduce(lambda p, k: p + Diagonal([1.0, k]), range(n), D + ONE),
    "a sum from the left": lambda n: reduce(lambda p, k: Diagonal([1.0, k]) + p, range(n), D + ONE),
    "a sum of products": lambda n: reduce(lambda p, k: p + C @ Diagonal([1.0, k]) @ C, range(n), D + ONE),
    "a chain": lambda n: reduce(
        lambda p, k: p @ Correlation(X, [0.25, k / 1000, 0.25], padding="same"), range(n), C @ C
    ),
    "a chain from the left": lambda n: reduce(lambda p, k: Diagonal([1.0, 1 / (k + 1)]) @ p @ D, range(n), C @ C),
    "a rewriting at each level": lambda n: reduce(lambda p, _: V.H @ V @ p @ (0.5 * D) + D, range(n), C),
    "a polynomial": lambda n: reduce(lambda p, k: p @ A + k * ONE, range(n), A),
}


def _of_weights(n: int) -> LinearOperator:
    """Return a chain in which adjoints on weighted spaces meet."""
    W = Weighted(X, [1.0, 4.0])
    B = Matrix([[0.0, 2.0], [0.5, 0.0]], W, W)  # unitary: no power vanishes
    return reduce(lambda p, _: p @ B.H @ B, range(n), B)


LONG["adjoints on weighted spaces"] = _of_weights


LINEAR: dict[str, Callable[[LinearOperator], Any]] = {
    "build": lambda _: None,
    "str": str,
    "latex": latex,
    "tree": tree,
    "hash": hash,
    "cost": cost,
    "simplify": simplify,
    "is_self_adjoint": is_self_adjoint,
    "claims": lambda p: p.claims,
    "adjoint": lambda p: p.H,
    "compare": lambda p: p == pickle.loads(pickle.dumps(p)),
    "check": lambda p: check_adjoint(p, mode="floating", trials=1),
}


@pytest.mark.parametrize("question", LINEAR.values(), ids=LINEAR)
@pytest.mark.parametrize("make", LONG.values(), ids=LONG)
def test_linear_time(make: Callable[[int], LinearOperator], question: Callable[[LinearOperator], Any]) -> None:
    """Four times the parts cost about four times the calls of functions, to build an expression and to ask about it."""
    question(make(3))
    few, many = (calls(lambda n=n: question(make(n))) for n in (50, 200))
    assert many < 4**1.2 * few


def test_a_row_is_flat() -> None:
    """However a sum or a product was put together, it has its terms and factors in order."""
    n = 100
    terms = [Diagonal([1.0, float(k)]) for k in range(n)]
    ways = [
        reduce(lambda p, q: p + q, terms),
        reduce(lambda p, q: q + p, terms[::-1]),
        reduce(lambda p, q: p + q, terms[:50]) + reduce(lambda p, q: q + p, terms[:49:-1]),
        Sum(*terms),
    ]
    for total in ways:
        assert isinstance(total, Sum)
        assert total.terms == tuple(terms)
        assert (total.first, total.last) == (terms[0], terms[-1])
    assert len(set(ways)) == 1
