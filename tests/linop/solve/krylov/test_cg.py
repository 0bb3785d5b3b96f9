"""Conjugate gradients solve positive equations: as scipy's do, with any weights, on products and across ranks."""

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse.linalg
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, HaloExchange, Local, Replicated, Split, World, simulate
from linop import (
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    LinearOperator,
    Matrix,
    Product,
    Space,
    Weighted,
    matrix,
    reweight,
)
from linop.solve import State, cg

pytestmark = pytest.mark.serial

TOLERANCE = 1e-10


def unitary(generator: np.random.Generator, n: int, dtype: str) -> np.ndarray:
    """Return an orthogonal or unitary matrix."""
    entries = generator.standard_normal((n, n))
    if dtype.startswith("complex"):
        entries = entries + 1j * generator.standard_normal((n, n))
    return np.linalg.qr(entries)[0]


def positive(generator: np.random.Generator, n: int, dtype: str, condition: float) -> np.ndarray:
    """Return a self-adjoint matrix with eigenvalues from 1 to `condition`."""
    q = unitary(generator, n, dtype)
    entries = q * generator.uniform(1, condition, n) @ q.conj().T
    return (entries + entries.conj().T) / 2


def dense(A: LinearOperator) -> np.ndarray:
    """Return the matrix, column by column: the functions that tests lift to operators take no batches of tuples."""
    columns = [A.codomain.to_coordinates(A(A.domain.basis(i))) for i in range(A.domain.size)]
    return np.stack(columns, axis=-1)


class System(NamedTuple):
    """An operator that is self-adjoint and positive in its space, and a right-hand side."""

    A: LinearOperator
    b: np.ndarray
    weight: np.ndarray


@st.composite
def systems(draw: st.DrawFn) -> System:
    """Return small systems in spaces with weights of every kind: none, a number, an array, an operator."""
    n, seed = draw(st.integers(1, 7)), draw(st.integers(0, 2**16))
    dtype = draw(st.sampled_from(["float64", "complex128"]))
    generator = np.random.default_rng(seed)
    X: Space = Euclidean(n, dtype)
    kind = draw(st.sampled_from(["none", "number", "array", "operator"]))
    weights: dict[str, Any] = {
        "none": np.eye(n),
        "number": 3.0 * np.eye(n),
        "array": np.diag(generator.uniform(0.5, 2, n)),
        "operator": positive(generator, n, dtype, 4.0),
    }
    weight = weights[kind]
    if kind != "none":
        X = Weighted(X, {"number": 3.0, "array": np.diag(weight).real, "operator": Matrix(weight)}[kind])
    entries = np.linalg.solve(weight, positive(generator, n, dtype, draw(st.sampled_from([1.0, 10.0, 100.0]))))
    return System(Matrix(entries, X, X), X.normal(seed), weight)


@given(systems())
def test_solves_positive_systems(system: System) -> None:
    """For A self-adjoint and positive in the weighted inner product, the solution is found."""
    A, b, weight = system
    X = A.domain
    assert matrix(A.H) == pytest.approx(matrix(A), abs=1e-12 * 400)  # so it is: 400 bounds |A| and the weights
    result = cg(A, b, tolerance=TOLERANCE)
    assert result
    expected = np.linalg.solve(matrix(A), b)
    root = np.linalg.cholesky(weight).conj().T  # |x|_W = |root x|
    condition = np.linalg.cond(root @ matrix(A) @ np.linalg.inv(root))
    # |x - x*| = |A^-1 r| <= cond(A) |x*| |r| / |b|, in the space's norm. The dense solution is better by far.
    assert X.norm(result.x - expected) <= 1.01 * TOLERANCE * condition * X.norm(expected)
    assert X.norm(b - A(result.x)) <= 1.01 * TOLERANCE * X.norm(b)


@given(systems())
def test_as_many_steps_as_unknowns(system: System) -> None:
    """The error falls in the norm of A from step to step, and in exact arithmetic is zero after n steps."""
    A, b, _ = system
    X = A.domain
    expected = np.linalg.solve(matrix(A), b)
    errors = [X.inner(expected, b).real]  # |x*|^2 in the norm of A

    def watch(state: State) -> None:
        error = state.x - expected
        errors.append(X.inner(error, A(error)).real)

    result = cg(A, b, tolerance=TOLERANCE, callback=watch)
    # Rounding adds some n eps; small systems of condition 100 may need a step or two more.
    assert result.iterations <= X.size + 2
    assert all(after <= before * (1 + 1e-12) + 1e-20 * errors[0] for before, after in itertools.pairwise(errors))


def test_same_iterates_as_scipy() -> None:
    """On Euclidean spaces, every iterate is scipy's, to rounding."""
    n, condition, steps = 40, 50.0, 15
    generator = np.random.default_rng(0)
    entries, b, x0 = positive(generator, n, "float64", condition), generator.standard_normal(n), np.ones(n)
    ours: list[np.ndarray] = []
    theirs: list[np.ndarray] = []
    result = cg(Matrix(entries), b, x0=x0, tolerance=0.0, iterations=steps, callback=lambda state: ours.append(state.x))
    scipy.sparse.linalg.cg(
        entries, b, x0=x0, rtol=0.0, atol=0.0, maxiter=steps, callback=lambda x: theirs.append(x.copy())
    )
    assert len(ours) == len(theirs) == steps
    # Each of k steps adds roundings of n eps, which the recurrence amplifies by the condition number at most.
    for k, (x, y) in enumerate(zip(ours, theirs, strict=True), start=1):
        allowed = k * n * condition * np.finfo(float).eps
        assert np.linalg.norm(x - y) <= allowed * np.linalg.norm(y)
        assert result.residuals[k] == pytest.approx(np.linalg.norm(b - entries @ y), rel=1e-6, abs=allowed * 10)


@pytest.mark.parametrize(
    "entries", [np.diag([1.0, -1.0]), np.eye(2)[::-1], -np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]])]
)
def test_operators_that_are_not_positive(entries: np.ndarray) -> None:
    """A direction p with inner(p, A p) <= 0 ends the iteration, and is reported."""
    result = cg(Matrix(entries), np.array([1.0, 1.0]) if entries[0, 0] == 1 else np.array([1.0, 0.0]))
    assert not result
    assert result.reason.startswith("breakdown: inner(p, A p) = ")
    assert result.reason.endswith("; the operator is not positive definite")
    np.testing.assert_array_equal(result.x, np.zeros(2))


def test_breakdown_on_the_way_keeps_the_iterate() -> None:
    """Where the wrong direction comes later, the iterate before it is returned."""
    seen: list[np.ndarray] = []
    result = cg(Diagonal([4.0, 1.0, -1.0]), np.array([1.0, 1.0, 0.2]), callback=lambda state: seen.append(state.x))
    assert not result
    assert result.reason.startswith("breakdown: inner(p, A p) = -")
    assert result.iterations == len(seen) > 0
    np.testing.assert_array_equal(result.x, seen[-1])


def test_products_with_weights() -> None:
    """Equations that couple the parts of a product, each with weights of its own."""
    X, Y = Weighted(Euclidean(3), [1.0, 2.0, 3.0]), Weighted(Euclidean((2, 2)), 0.5)
    coupling = Matrix(np.arange(12.0).reshape(4, 3) / 12, X, Y)
    P = Product(X, Y)

    # The matrix (I + C.H C, C.H; C, 2 I) is self-adjoint and positive, for it is (C, I)^H (C, I) and the identity.
    def apply(x: Any) -> Any:
        return x[0] + coupling.H(coupling(x[0])) + coupling.H(x[1]), coupling(x[0]) + 2 * x[1]

    A = FunctionOperator(P, P, apply, lambda y: P.riesz(apply(P.riesz_inverse(y))))
    b = P.normal(0)
    result = cg(A, b, tolerance=TOLERANCE)
    assert result
    expected = np.linalg.solve(dense(A), P.to_coordinates(b))
    # Weights differ by a factor of six at most, hence norms of vectors and of matrices by its root.
    error = np.linalg.norm(P.to_coordinates(result.x) - expected)
    assert error <= TOLERANCE * np.linalg.cond(dense(A)) * 6 * 6 * np.linalg.norm(expected)


def test_real_spaces_of_complex_arrays() -> None:
    """A map that is linear over the reals only, x -> 3 x + conj(x), is inverted in the real space."""
    X = Euclidean(3, complex, field="real")
    A = FunctionOperator(X, X, lambda x: 3 * x + x.conj(), lambda y: 3 * y + y.conj())
    b = np.array([4.0 + 2j, 8j, -4.0])
    result = cg(A, b)
    assert result
    np.testing.assert_allclose(result.x, b.real / 4 + 1j * b.imag / 2, rtol=1e-8 * 2 * 4)


# -- ranks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 3, 4])
def test_across_ranks(ranks: int) -> None:
    """On simulated ranks, I + H* H with a halo exchange H is inverted; all ranks have the same history."""

    def main(world: World) -> tuple[Any, ...]:
        S = DistributedSpace(Grid(world, p=world.size), (10, 3), p=Split(0))
        H = HaloExchange(S, {0: (1, 2)})
        A = Identity(S) + H.H @ H
        b = np.arange(30.0).reshape(10, 3)
        seen: list[float] = []
        result = cg(A, S.from_global(b), tolerance=TOLERANCE, callback=lambda state: seen.append(state.residual))
        stopped = cg(A, S.from_global(b), callback=lambda state: state.iteration == 1)
        return S.to_global(result.x), result.residuals, result.reason, seen, stopped.reason, matrix(A), bool(result)

    answers = simulate(ranks, main)
    x, residuals, reason, _, stopped, entries, converged = answers[0]
    assert converged
    # The space's coordinates run over the ranks, which hold rows in order: those of the tensor.
    expected = np.linalg.solve(entries, np.arange(30.0)).reshape(10, 3)
    condition = np.linalg.cond(entries)
    assert np.linalg.norm(x - expected) <= 1.01 * TOLERANCE * condition * np.linalg.norm(expected)
    assert stopped == ("the callback asked to stop" if ranks > 1 else "the residual is below the tolerance")
    for other in answers[1:]:
        assert (other[1], other[2], other[3], other[4]) == (residuals, reason, answers[0][3], stopped)


def test_copies_replicas_and_weights_across_ranks() -> None:
    """Copies count once each, replicas once together; weights and products work across ranks as in one process."""

    def main(world: World) -> tuple[Any, ...]:
        grid = Grid(world, p=3)
        S = Weighted(DistributedSpace(grid, (4,), p=Copies()), 2.0)
        R = DistributedSpace(grid, (4,), p=Replicated())
        scale = Diagonal(np.arange(1.0, 5.0) + world.rank)
        A = reweight(Local(S.space, S.space, scale), S, S)
        B = Local(R, R, Diagonal(np.arange(1.0, 5.0)))
        ones = np.ones(4)
        first, second = cg(A, ones, tolerance=TOLERANCE), cg(B, ones, tolerance=TOLERANCE)
        return first.x * scale.entries, first.residuals, second.x, second.residuals

    answers = simulate(3, main)
    for product, history, second, other in answers:
        # |b - A x| <= tolerance |b|: entry by entry, that is sqrt(12) tolerance; weights do not matter.
        np.testing.assert_allclose(product, np.ones(4), atol=TOLERANCE * np.sqrt(12) * 1.01)
        np.testing.assert_allclose(second, 1 / np.arange(1.0, 5.0), atol=TOLERANCE * 2 * 1.01)
        assert history == answers[0][1]
        assert other == answers[0][3]
        assert history[0] == pytest.approx(np.sqrt(2 * 12), rel=1e-15)
        assert other[0] == pytest.approx(2.0, rel=1e-15)
