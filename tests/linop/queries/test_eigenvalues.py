"""The ends of the spectrum of a self-adjoint operator."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedDiagonal, DistributedSpace, Grid, Local, Split, simulate
from linop import (
    ConvergenceError,
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    LinearOperator,
    Matrix,
    SpaceError,
    Weighted,
    Zero,
    matrix,
    reweight,
)
from linop.queries.eigenvalues import eigenvalue_bounds
from linop.queries.seeds import stream
from linop.testing import expressions, spaces_of_a_tree, weight_matrix, weighted_spaces

pytestmark = pytest.mark.serial


def spectrum(operator: LinearOperator) -> np.ndarray:
    """Return the eigenvalues from the definition: of ``L^H a L^-H``, which is Hermitian, for weights ``L L^H``."""
    lower = np.linalg.cholesky(weight_matrix(operator.domain))
    similar = np.linalg.solve(lower, (lower.conj().T @ matrix(operator)).conj().T)
    return np.linalg.eigvalsh((similar + similar.conj().T) / 2)


@st.composite
def symmetric_trees(draw: st.DrawFn) -> LinearOperator:
    """Return ``A + A.H`` for an expression A, on a space with weights."""
    space = draw(st.sampled_from([space for space in draw(spaces_of_a_tree()) if space.size]))
    A = draw(expressions(space, space, 2)).operator
    return A + A.H


@given(symmetric_trees())
def test_expressions(A: LinearOperator) -> None:
    """With as many steps as there are coordinates, the bounds are the ends of the spectrum, but for roundings."""
    exact = spectrum(A)
    lowest, highest = eigenvalue_bounds(A)
    size = np.abs(exact).max()
    # The method stops at residuals of 1e-8; in single precision, roundings of operator and weights are left.
    allowed = max(1e-7, 1e4 * float(np.finfo(A.domain.dtype).eps)) * size
    assert abs(lowest - exact[0]) <= allowed
    assert abs(highest - exact[-1]) <= allowed


@given(st.data())
def test_weights_that_are_operators(data: st.DataObject) -> None:
    """The same with any weights, in any field: ``A.H @ A`` has the squared singular values."""
    dtype, field = data.draw(st.sampled_from([(float, None), (complex, None), (complex, "real")]))
    X, Y = (data.draw(weighted_spaces(Euclidean(n, dtype, field))) for n in (3, 2))
    entries = np.random.default_rng(data.draw(st.integers(0, 999))).standard_normal((Y.size, X.size))
    A = Matrix(entries, X, Y)
    exact = spectrum(A.H @ A)
    np.testing.assert_allclose(eigenvalue_bounds(A.H @ A), [exact[0], exact[-1]], rtol=0, atol=1e-7 * exact[-1])


@given(st.integers(0, 999), st.integers(1, 20))
def test_few_steps(seed: int, iterations: int) -> None:
    """After any number of steps, each bound has an eigenvalue within twice its residual on its inner side.

    The residual is at most the spread of the spectrum, so the bounds are no farther out than that.
    """
    generator = np.random.default_rng(seed)
    entries = generator.standard_normal((20, 20))
    A = Matrix(entries + entries.T)
    exact = np.linalg.eigvalsh(A.entries)
    lowest, highest = eigenvalue_bounds(A, iterations=iterations, seed=seed)
    spread = exact[-1] - exact[0]
    assert exact[0] - spread <= lowest <= highest <= exact[-1] + spread
    from linop.solve import lanczos

    for which, bound, sign in (("largest", highest, 1), ("smallest", lowest, -1)):
        result = lanczos(A, 1, which=which, iterations=iterations, seed=stream(seed))
        theta, residual = result.values[0], result.residuals[-1]
        assert bound == theta + sign * residual
        assert exact[0] - 1e-12 * spread <= theta <= exact[-1] + 1e-12 * spread
        assert np.abs(exact - theta).min() <= residual + 1e-12 * spread


X = Euclidean(3)
TWO, DENSE = Weighted(X, [1.0, 2.0, 4.0]), Weighted(X, Matrix([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize(
    ("operator", "bounds"),
    [
        (Diagonal([3.0, -1.0, 2.0]), (-1, 3)),
        (Diagonal([3.0, -1.0, 2.0], TWO), (-1, 3)),
        (-2 * Diagonal([3.0, -1.0, 2.0]), (-6, 2)),
        (Identity(DENSE), (1, 1)),
        (Zero(X, X), (0, 0)),
        (Diagonal([3.0 + 0j, -1.0]), (-1, 3)),
        (TWO.riesz, (1, 4)),
    ],
    ids=repr,
)
def test_exact(operator: LinearOperator, bounds: tuple[float, float]) -> None:
    """Of real diagonals, and multiples of what is known, they are exact."""
    assert eigenvalue_bounds(operator, iterations=0) == bounds


def test_copies_of_eigenvalues() -> None:
    """An eigenvalue with many eigenvectors, and only one eigenvalue at all, are no special cases."""
    A = Matrix(np.diag([2.0] * 5 + [-3.0] * 4))
    np.testing.assert_allclose(eigenvalue_bounds(A), [-3, 2], rtol=1e-12)
    np.testing.assert_allclose(eigenvalue_bounds(Matrix(7 * np.eye(6))), [7, 7], rtol=1e-12)
    np.testing.assert_allclose(eigenvalue_bounds(Matrix(np.zeros((3, 3)))), [0, 0], atol=0)


def test_seeds() -> None:
    """The same seed gives the same bounds."""
    entries = np.random.default_rng(0).standard_normal((30, 30))
    A = Matrix(entries + entries.T)
    assert eigenvalue_bounds(A, iterations=3, seed=4) == eigenvalue_bounds(A, iterations=3, seed=4)
    assert eigenvalue_bounds(A, iterations=3, seed=4) != eigenvalue_bounds(A, iterations=3, seed=(4, 1))


@pytest.mark.parametrize(
    "operator",
    [
        Matrix([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        Matrix([[1.0, 2.0 + 1e-9, 3.0], [2.0, 1.0, 4.0], [3.0, 4.0, 1.0]]),
        Matrix([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], TWO, TWO),
        Diagonal([1.0, 2.0, 3.0], DENSE),
        Diagonal([1j, 1.0]),
        1j * Identity(Euclidean(2, complex)),
        Matrix(np.ones((2, 3))),
        Identity(Euclidean(0)),
    ],
    ids=repr,
)
def test_what_is_refused(operator: LinearOperator) -> None:
    """What is not self-adjoint with respect to the inner product is seen, whatever it is with respect to dot."""
    with pytest.raises(SpaceError, match="eigenvalue_bounds of"):
        eigenvalue_bounds(operator)


def test_numbers_that_are_not_finite() -> None:
    """An operator that makes numbers that are none has no spectrum."""
    bad = FunctionOperator(X, X, lambda x: np.nan * x, lambda y: np.nan * y, name="Bad")
    with pytest.raises(ConvergenceError, match="Bad"):
        eigenvalue_bounds(bad)


def test_spread_over_processes() -> None:
    """Every process finds the same bounds, of the whole operator; with weights, too."""

    def main(world: Any) -> list[tuple[float, float]]:
        S = DistributedSpace(Grid(world, rows=3), (7,), rows=Split(0))
        W = Weighted(S, S.from_global(np.arange(1.0, 8.0)))
        n = S.shape[0]
        A = Local(S, S, Matrix(np.full((n, n), world.rank + 1.0)))
        return [eigenvalue_bounds(A), eigenvalue_bounds(reweight(DistributedDiagonal(np.arange(7.0), S), W, W))]

    found = simulate(3, main)
    assert found[0] == found[1] == found[2]
    np.testing.assert_allclose(found[0], [(0, 6), (0, 6)], rtol=0, atol=1e-6)
