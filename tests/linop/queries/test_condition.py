"""The ratio of the largest and the smallest singular value; the estimate is never more."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Local, Split, simulate
from linop import (
    ConvergenceError,
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    Inverse,
    Kron,
    LinearOperator,
    Matrix,
    Scale,
    Weighted,
    Zero,
)
from linop.operators.indexing.restriction import Restriction
from linop.queries.condition import condition_estimate
from linop.testing import Expression, expressions, spaces_of_a_tree, weight_matrix, weighted_spaces

pytestmark = pytest.mark.serial


def singular_values(operator: LinearOperator, dense: np.ndarray) -> np.ndarray:
    """Return them from the definition: of ``L_Y^H a L_X^-H``, where the weights are ``L L^H``."""
    left, right = (np.linalg.cholesky(weight_matrix(s)) for s in (operator.codomain, operator.domain))
    return np.linalg.svd(np.linalg.solve(right, (left.conj().T @ dense).conj().T), compute_uv=False)


def check(operator: LinearOperator, dense: np.ndarray) -> None:
    """Compare with dense linear algebra, as far as roundings of the largest singular value allow."""
    values = singular_values(operator, dense)
    found = condition_estimate(operator)
    noise = 1e3 * float(np.finfo(operator.domain.dtype).eps) * values.max()
    if values.max() == 0:
        assert found == math.inf
        return
    smallest = values.max() / found
    assert abs(smallest - values.min()) <= noise


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from([space for space in draw(spaces_of_a_tree()) if space.size])
    return draw(expressions(draw(spaces), draw(spaces)))


@given(trees())
def test_expressions(tree: Expression) -> None:
    """With as many steps as the smaller space has coordinates, it is the condition number, but for roundings."""
    check(tree.operator, tree.matrix)


@given(st.data())
def test_weights_that_are_operators(data: st.DataObject) -> None:
    """The same with any weights, in any field, for tall and for wide operators."""
    dtype, field = data.draw(st.sampled_from([(float, None), (complex, None), (complex, "real")]))
    sizes = data.draw(st.sampled_from([(3, 2), (2, 3), (3, 3)]))
    X, Y = (data.draw(weighted_spaces(Euclidean(n, dtype, field))) for n in sizes)
    entries = np.random.default_rng(data.draw(st.integers(0, 999))).standard_normal((Y.size, X.size))
    check(Matrix(entries, X, Y), entries)


@pytest.mark.parametrize("condition", [1e2, 1e6, 1e10, 1e13])
def test_ill_conditioned(condition: float) -> None:
    """The singular values are not squared: condition numbers up to 1e13 are found."""
    generator = np.random.default_rng(0)
    left, right = (np.linalg.qr(generator.standard_normal((12, 12)))[0] for _ in range(2))
    A = Matrix(left * np.geomspace(1, 1 / condition, 12) @ right)
    # A rounding of the largest singular value, over the smallest one.
    assert condition_estimate(A) == pytest.approx(condition, rel=100 * 2.0**-52 * condition)


@given(st.integers(0, 999))
def test_few_steps(seed: int) -> None:
    """After any number of steps, it is a lower bound, and more steps never give less."""
    entries = np.random.default_rng(seed).standard_normal((15, 12))
    exact = np.linalg.cond(entries)
    found = [condition_estimate(Matrix(entries), iterations=k, seed=seed) for k in range(1, 13)]
    assert found[0] == 1.0
    assert all(b >= a * (1 - 1e-12) for a, b in itertools.pairwise(found))
    assert found[-1] == pytest.approx(exact, rel=1e-9 * exact)


X, R = Euclidean(2), Euclidean(2, complex, field="real")
TWO, DENSE = Weighted(X, [1.0, 4.0]), Weighted(X, Matrix([[2.0, 1.0], [1.0, 2.0]]))
SHEAR = Matrix([[1.0, 1.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("operator", "condition"),
    [
        (Identity(DENSE), 1),
        (Restriction(Euclidean(5), slice(2)), 1),
        (Diagonal([2.0, -8.0], TWO), 4),
        (Diagonal([2j, 8.0], R), 4),
        (-3 * Diagonal([2.0, -8.0]), 4),
        (Inverse(Diagonal([2.0, -8.0])), 4),
        (Kron(Diagonal([2.0, -8.0]), Diagonal([1.0, 3.0])), 12),
        (Diagonal([1.0, 0.0]), math.inf),
        (Diagonal([1.0, 1e-17]), math.inf),
        (Zero(X, X), math.inf),
        (Zero(X, Euclidean(3)), math.inf),
        (Scale(0, SHEAR), math.inf),
        (Zero(Euclidean(0), X), 1),
    ],
    ids=repr,
)
def test_exact(operator: LinearOperator, condition: float) -> None:
    """What the structure tells is exact."""
    assert condition_estimate(operator) == condition


def test_singular_matrices() -> None:
    """A kernel is found, whatever its dimension, as long as it counts: a wide matrix always has one."""
    assert condition_estimate(Matrix([[1.0, 2.0], [2.0, 4.0]])) == math.inf
    assert condition_estimate(Matrix(np.diag([1.0, 1.0, 1.0, 0.0]))) == math.inf
    assert condition_estimate(Matrix(np.eye(2, 5))) == pytest.approx(1, rel=1e-14)


@given(st.integers(2, 20), st.data())
def test_products_through_a_small_space_are_singular(n: int, data: st.DataObject) -> None:
    """What is left of a singular value that is zero is rounding, on any processor: the condition number is infinite."""
    rank, seed = data.draw(st.integers(1, n - 1)), data.draw(st.integers(0, 999))
    generator = np.random.default_rng(seed)
    entries = generator.standard_normal((n, rank)) @ generator.standard_normal((rank, n))
    assert condition_estimate(Matrix(entries), seed=seed) == math.inf


def test_one_singular_value() -> None:
    """Where the first step finds all there is, nothing is made of what is left, roundings or zeros."""
    for n in range(1, 30):
        assert condition_estimate(Matrix(2 * np.eye(n)), seed=n) == pytest.approx(1, rel=1e-14)


def test_kronecker_products() -> None:
    """Of a tall with a wide operator, there are more singular values than products: it is singular."""
    tall, wide = Matrix([[1.0], [2.0]]), Matrix([[1.0, 2.0]])
    assert condition_estimate(Kron(tall, wide)) == math.inf
    assert condition_estimate(Kron(tall, tall)) == 1.0
    both = Kron(SHEAR, Matrix([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]))
    entries = np.kron(SHEAR.entries, both.operators[1].entries)
    assert condition_estimate(both) == pytest.approx(np.linalg.cond(entries), rel=1e-12)


def test_inverse() -> None:
    """An inverse is as badly conditioned as what it inverts, and need not be applied for that."""
    assert condition_estimate(Inverse(SHEAR)) == condition_estimate(SHEAR)


def test_seeds() -> None:
    """The same seed gives the same number."""
    A = Matrix(np.random.default_rng(0).standard_normal((20, 20)))
    assert condition_estimate(A, iterations=5, seed=4) == condition_estimate(A, iterations=5, seed=4)
    assert condition_estimate(A, iterations=5, seed=4) != condition_estimate(A, iterations=5, seed=(4, 1))


def test_spread_over_processes() -> None:
    """Every process finds the same number, of the whole operator."""

    def main(world: Any) -> float:
        S = DistributedSpace(Grid(world, rows=3), (6,), rows=Split(0))
        return condition_estimate(Local(S, S, (world.rank + 1) * SHEAR))

    found = simulate(3, main)
    assert found[0] == found[1] == found[2]
    golden = (1 + math.sqrt(5)) / 2  # the singular values of the shear, and their inverses
    assert found[0] == pytest.approx(3 * golden**2, rel=1e-12)


def test_what_is_refused() -> None:
    """Numbers that are none, and no steps."""
    bad = FunctionOperator(X, X, lambda x: np.nan * x, lambda y: np.nan * y, name="Bad")
    with pytest.raises(ConvergenceError, match="Bad"):
        condition_estimate(bad)
    with pytest.raises(ValueError, match="found 0"):
        condition_estimate(SHEAR, iterations=0)
