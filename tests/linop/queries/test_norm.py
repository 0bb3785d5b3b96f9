"""The norm is the largest singular value with respect to the inner products; the estimate is never more."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedDiagonal, DistributedSpace, Grid, Local, Movement, Replicated, Split, simulate
from linop import (
    BlockDiagonal,
    ConvergenceError,
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    Kron,
    LinearOperator,
    Matrix,
    Product,
    Reweight,
    Weighted,
    Zero,
    matrix,
)
from linop.operators.indexing.restriction import Restriction
from linop.operators.spectral.fft import FFT
from linop.queries.condition import condition_estimate
from linop.queries.norm import moduli, norm_estimate
from linop.testing import Expression, expressions, spaces_of_a_tree, weight_matrix, weighted_spaces

pytestmark = pytest.mark.serial


def singular_values(operator: LinearOperator, dense: np.ndarray) -> np.ndarray:
    """Return them from the definition: of ``L_Y^H a L_X^-H``, where the weights are ``L L^H``."""
    if 0 in dense.shape:
        return np.zeros(0)
    left, right = (np.linalg.cholesky(weight_matrix(s)) for s in (operator.codomain, operator.domain))
    return np.linalg.svd(np.linalg.solve(right, (left.conj().T @ dense).conj().T), compute_uv=False)


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


@given(trees())
def test_expressions(tree: Expression) -> None:
    """It is the largest singular value, from below."""
    exact = singular_values(tree.operator, tree.matrix).max(initial=0.0)
    eps = float(np.finfo(tree.operator.domain.dtype).eps)
    found = norm_estimate(tree.operator, iterations=3000)
    assert found <= exact * (1 + 1000 * eps)
    # After k steps the squared norm is off by at most about ln(n) / k, here 1e-3, even where singular values are close.
    assert found >= 0.99 * exact


@given(st.data())
def test_weights_that_are_operators(data: st.DataObject) -> None:
    """The same with any weights, in any field."""
    dtype, field = data.draw(st.sampled_from([(float, None), (complex, None), (complex, "real")]))
    X, Y = (data.draw(weighted_spaces(Euclidean(n, dtype, field))) for n in (3, 2))
    entries = np.random.default_rng(data.draw(st.integers(0, 999))).standard_normal((Y.size, X.size))
    A = Matrix(entries, X, Y)
    exact = singular_values(A, entries).max()
    assert 0.99 * exact <= norm_estimate(A, iterations=3000) <= exact * (1 + 1e-12)


X, C, R = Euclidean(2), Euclidean(2, complex), Euclidean(2, complex, field="real")
TWO, DENSE = Weighted(X, [1.0, 4.0]), Weighted(X, Matrix([[2.0, 1.0], [1.0, 2.0]]))
ROTATION = Matrix([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("operator", "norm"),
    [
        (Identity(DENSE), 1),
        (Zero(X, TWO), 0),
        (Zero(X, X), 0),
        (Zero(Euclidean(0), X), 0),
        (Identity(Euclidean(0)), 0),
        (Diagonal([3.0, -5.0]), 5),
        (Diagonal([3j, 4.0 + 3j]), 5),
        (Diagonal([3j, 4.0 + 3j], R), 5),
        (Diagonal([3.0, -5.0], TWO), 5),
        (Diagonal([3.0, -5.0], Weighted(X, 7.0)), 5),
        (-2 * Diagonal([3.0, -5.0]) @ Diagonal([1.0, 0.0]), 6),
        ((3 + 4j) * Identity(R), 5),
        (3j * FFT(C, norm="ortho"), 3),
        (Restriction(Euclidean(5), slice(2)), 1),
        (Restriction(Euclidean(5), slice(2)).H, 1),
        (BlockDiagonal(Diagonal([3.0, -5.0], TWO), 7 * Identity(DENSE)), 7),
        (Kron(Diagonal([3.0, -5.0]), 2 * Identity(DENSE)), 10),
    ],
    ids=repr,
)
def test_exact(operator: LinearOperator, norm: float) -> None:
    """What the structure tells is exact, and needs no iteration: none is left after none."""
    assert norm_estimate(operator, iterations=0) == norm


@pytest.mark.parametrize(
    ("operator", "squared"),
    [
        (Reweight(X, Weighted(X, 9.0)), 9),
        (Reweight(X, TWO), 4),
        (Diagonal([3.0, -5.0], DENSE), None),
        (Matrix([[0.0, -1.0], [1.0, 0.0]], TWO, TWO), 4),
        (ROTATION @ ROTATION, 1),
        (TWO.riesz, 16),
        (DENSE.riesz, 9),
    ],
    ids=repr,
)
def test_weights_change_norms(operator: LinearOperator, squared: float | None) -> None:
    """An isometry of coordinates is none where weights say otherwise."""
    exact = singular_values(operator, matrix(operator)).max()
    assert squared is None or exact**2 == pytest.approx(squared, rel=1e-12)
    # Eigenvalues are a factor of two apart, or the same: the default hundred steps leave roundings.
    assert norm_estimate(operator) == pytest.approx(exact, rel=1e-9)


@given(trees())
def test_moduli(tree: Expression) -> None:
    """Where singular values are read off the diagonal, they are the singular values."""
    found = moduli(tree.operator)
    if found is not None:
        exact = singular_values(tree.operator, tree.matrix)
        np.testing.assert_allclose(np.sort(found)[::-1], exact, rtol=1e-5, atol=1e-5 * exact.max(initial=0.0))


def test_complex_multiples_in_a_real_space() -> None:
    """There, a number need not commute with the weights: the norm of c times the identity is not ``|c|``."""
    W = Weighted(R, Matrix(np.diag([1.0, 100.0, 1.0, 1.0]), R, R))
    turned = 1j * Identity(W)  # takes the second coordinate to the first, and back
    assert singular_values(turned, matrix(turned)).max() == 10
    assert norm_estimate(turned) == pytest.approx(10, rel=1e-6)
    assert norm_estimate(turned @ Diagonal([2.0, 3.0], W)) == pytest.approx(20, rel=1e-6)


def test_seeds_and_steps() -> None:
    """The same seed gives the same number; more steps never give less."""
    A = Matrix(np.random.default_rng(0).standard_normal((20, 20)))
    assert norm_estimate(A, seed=4) == norm_estimate(A, seed=4)
    assert norm_estimate(A, seed=4, iterations=2) != norm_estimate(A, seed=(4, 1), iterations=2)
    found = [norm_estimate(A, iterations=k) for k in range(1, 30)]
    assert all(b >= a * (1 - 1e-14) for a, b in itertools.pairwise(found))
    assert found[-1] <= np.linalg.norm(entries := A.entries, 2)
    assert found[-1] > 0.9 * np.linalg.norm(entries, 2)


def test_spread_over_processes() -> None:
    """Every process finds the same norm, of the whole operator."""

    def main(world: Any) -> list[float]:
        grid = Grid(world, rows=3)
        S = DistributedSpace(grid, (7,), rows=Split(0))
        T, W = S.with_roles(rows=Copies()), Weighted(S, S.from_global(np.arange(1.0, 8.0)))
        n = S.shape[0]
        A = Local(S, S, (world.rank + 1) * Matrix(np.arange(float(n * n)).reshape(n, n)))
        big = Movement(S, T)
        copies = Movement(S.with_roles(rows=Replicated()), T)
        return [
            *(norm_estimate(B) for B in (A, big, copies, big @ A, DistributedDiagonal(np.arange(7.0), S))),
            norm_estimate(Reweight(S, W)),
        ]

    found = simulate(3, main)
    assert found[0] == found[1] == found[2]
    blocks = [k * np.arange(float(n * n)).reshape(n, n) for k, n in ((1, 3), (2, 2), (3, 2))]
    norm = max(np.linalg.norm(block, 2) for block in blocks)
    # Where singular values are close, a hundred steps may leave one percent; none of them is here.
    expected = [norm, np.sqrt(3), np.sqrt(3), np.sqrt(3) * norm, 6, np.sqrt(7)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_what_only_some_processes_know() -> None:
    """Where one process holds nothing but signs, and another does not, neither goes on alone."""

    def main(world: Any) -> tuple[float, float]:
        S = DistributedSpace(Grid(world, rows=3), (7,), rows=Split(0))
        A = DistributedDiagonal([1.0, -1.0, 1.0, 1.0, -5.0, 1.0, 1.0], S)
        return norm_estimate(A), condition_estimate(A)

    found = simulate(3, main)
    assert found[0] == found[1] == found[2]
    assert found[0] == pytest.approx((5, 5))


def test_products_of_spaces() -> None:
    """Vectors may be tuples."""
    from linop import Block

    A = Block([[Matrix([[1.0, 2.0]]), Matrix([[3.0]])], [None, Matrix([[4.0]])]])
    assert isinstance(A.domain, Product)
    assert norm_estimate(A) == pytest.approx(np.linalg.norm([[1, 2, 3], [0, 0, 4]], 2), rel=1e-6)


def test_numbers_that_are_not_finite() -> None:
    """An operator that makes numbers that are none has no norm."""
    bad = FunctionOperator(X, X, lambda x: np.nan * x, lambda y: np.nan * y, name="Bad")
    with pytest.raises(ConvergenceError, match="Bad"):
        norm_estimate(bad)
