"""Splitting methods find the same minimisers, which satisfy the conditions of optimality; on ranks, to 12 digits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedConvolution, DistributedGradient, DistributedSpace, Grid, Split, World, simulate
from linop import (
    Diagonal,
    Euclidean,
    Gradient,
    Identity,
    LinearOperator,
    Matrix,
    Space,
    SpaceError,
    VStack,
    Weighted,
)
from linop.solve import (
    Result,
    admm,
    box,
    fista,
    free,
    misfit,
    nnls,
    nonnegative,
    primal_dual,
    ridge,
    separate,
    shifted,
    slopes,
    soft_threshold,
    total_variation,
    variation,
)
from linop.solve.loop import CALLBACK, RESIDUAL, USED_UP

pytestmark = pytest.mark.serial

B = np.ones(2)


def lasso(A: LinearOperator, b: Any, weight: float, solver: str) -> Result:
    """Minimise |A x - b|^2 / 2 + weight |x|_1 by one of the methods."""
    if solver == "admm":
        return admm(A, b, soft_threshold(weight), tolerance=1e-9, iterations=20_000)
    if solver == "primal_dual":
        return primal_dual(A, soft_threshold(weight), misfit(b), like=b, tolerance=1e-10, iterations=50_000)
    return fista(A, b, soft_threshold(weight), restart=True, tolerance=1e-9, iterations=50_000)


@given(
    rows=st.integers(2, 6),
    columns=st.integers(1, 5),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    weighted=st.booleans(),
    solver=st.sampled_from(["admm", "primal_dual", "fista"]),
)
def test_lasso(rows: int, columns: int, seed: int, dtype: str, weighted: bool, solver: str) -> None:
    """A.H (b - A x) is weight * sign(x) where x is not zero, and not longer elsewhere, in weighted spaces, too."""
    generator = np.random.default_rng(seed)
    X: Space = Euclidean(columns, dtype)
    Y: Space = Euclidean(rows, dtype)
    if weighted:
        X, Y = Weighted(X, generator.uniform(0.5, 2, columns)), Weighted(Y, generator.uniform(0.5, 2, rows))
    u, _, vh = np.linalg.svd(Euclidean(rows * columns, dtype).normal(seed).reshape(rows, columns), full_matrices=False)
    A, b = Matrix(u * generator.uniform(1, 3, len(vh)) @ vh, X, Y), Y.normal((seed, 1))
    result = lasso(A, b, 0.3, solver)
    assert result, result
    assert result.reason == RESIDUAL
    x = result.x
    correlation = A.H(b - A(x))
    small = np.abs(x) < 1e-6  # of ADMM and the primal-dual method, zeros are approximate
    size = np.maximum(np.abs(x), 1e-300)
    assert np.all(np.abs(correlation[~small] - 0.3 * (x / size)[~small]) < 1e-5)
    assert np.all(np.abs(correlation[small]) <= 0.3 + 1e-5)


def test_restarts_converge_faster() -> None:
    """On a strongly convex problem that is ill-conditioned, restarts take less than half of the steps."""
    generator = np.random.default_rng(0)
    A, b = Matrix(generator.standard_normal((80, 40)) * np.logspace(0, -1.5, 40)), generator.standard_normal(80)
    plain, restarted = (
        fista(A, b, soft_threshold(1e-3), restart=r, tolerance=1e-9, iterations=50_000) for r in (False, True)
    )
    assert plain
    assert restarted
    assert 2 * restarted.iterations < plain.iterations
    np.testing.assert_allclose(restarted.x, plain.x, atol=1e-5)
    searched = fista(
        A, b, soft_threshold(1e-3), restart=True, backtracking=True, lipschitz=1e-3, tolerance=1e-9, iterations=10_000
    )
    assert searched
    np.testing.assert_allclose(searched.x, plain.x, atol=1e-5)


def test_nonnegative_least_squares() -> None:
    """The minimiser is scipy's, by each of the methods."""
    generator = np.random.default_rng(2)
    a, b = generator.standard_normal((12, 6)), generator.standard_normal(12)
    expected, _ = scipy.optimize.nnls(a, b)
    assert (expected == 0).any()
    for result in (
        nnls(Matrix(a), b),
        admm(Matrix(a), b, nonnegative(), tolerance=1e-9),
        primal_dual(Matrix(a), nonnegative(), misfit(b), tolerance=1e-10, iterations=20_000),
    ):
        assert result, result
        np.testing.assert_allclose(result.x, expected, atol=1e-6)


def test_a_linear_programme() -> None:
    """Least absolute deviations within bounds: the value is that of scipy's simplex method."""
    generator = np.random.default_rng(3)
    a, b = generator.standard_normal((15, 4)), generator.standard_normal(15)
    result = primal_dual(Matrix(a), box(-0.2, 0.2), shifted(soft_threshold(1.0), b), tolerance=1e-9, iterations=100_000)
    assert result
    costs = np.concatenate([np.zeros(4), np.ones(15)])
    left = np.block([[a, -np.eye(15)], [-a, -np.eye(15)]])
    answer = scipy.optimize.linprog(costs, left, np.concatenate([b, -b]), bounds=[(-0.2, 0.2)] * 4 + [(0, None)] * 15)
    assert np.abs(a @ result.x - b).sum() == pytest.approx(answer.fun, rel=1e-6)


@given(seed=st.integers(0, 2**16), weighted=st.booleans())
def test_steps_do_not_grow(seed: int, weighted: bool) -> None:
    """The primal-dual method is a proximal point algorithm: in its norm, no step is longer than the one before."""
    generator = np.random.default_rng(seed)
    X: Space = Euclidean(4)
    Y: Space = Euclidean(6)
    if weighted:
        X, Y = Weighted(X, generator.uniform(0.5, 2, 4)), Weighted(Y, generator.uniform(0.5, 2, 6))
    K, b = Matrix(generator.standard_normal((6, 4)), X, Y), generator.standard_normal(6)
    result = primal_dual(K, box(-0.5, 0.5), shifted(soft_threshold(1.0), b), tolerance=0.0, iterations=200)
    steps = np.array(result.residuals)
    assert np.all(np.diff(steps) <= 1e-7 * steps[0])


def test_acceleration() -> None:
    """With the constant of strong convexity, steps adapt, and the distance to the solution falls as 1 / k."""
    n = 200
    K = Gradient(Euclidean(n), boundary="edge")
    b = np.repeat([0.0, 3.0, 1.0, 2.0], n // 4) + 0.1 * np.random.default_rng(0).standard_normal(n)
    exact = variation(K, 0.5, tolerance=1e-10, iterations=20_000)(b, 1.0)
    errors = []
    for convexity in (0.0, 0.9):
        result = primal_dual(
            K, misfit(b), slopes(0.5), convexity=convexity, primal_step=1.0, tolerance=0.0, iterations=400
        )
        errors.append(np.linalg.norm(result.x - exact))
    assert errors[1] < 1e-2 * np.linalg.norm(b)


def test_the_dual_vector() -> None:
    """Results have the dual vector: K.H y is minus the gradient of the smooth part."""
    generator = np.random.default_rng(1)
    a, b, K = generator.standard_normal((9, 5)), generator.standard_normal(9), Gradient(Euclidean(5), boundary="edge")
    split = admm(Matrix(a), b, slopes(0.5), K=K, tolerance=1e-10, iterations=20_000)
    assert split
    np.testing.assert_allclose(K.H(split.dual), -a.T @ (a @ split.x - b), atol=1e-7)
    both = primal_dual(
        VStack(Matrix(a), K), free(), separate(misfit(b), slopes(0.5)), tolerance=1e-11, iterations=100_000
    )
    assert both
    np.testing.assert_allclose(both.x, split.x, atol=1e-6)
    np.testing.assert_allclose(both.dual[0], a @ both.x - b, atol=1e-6)


def test_the_penalty_changes_the_way_only() -> None:
    """From penalties that are far too small or too large, balancing comes to the same solution in as many steps."""
    generator = np.random.default_rng(4)
    A, b = Matrix(generator.standard_normal((10, 6))), generator.standard_normal(10)
    results = [admm(A, b, soft_threshold(0.5), penalty=rho, tolerance=1e-9) for rho in (1e-3, 1.0, 1e4)]
    for result in results:
        assert result, result
        assert result.iterations < 500
        np.testing.assert_allclose(result.x, results[1].x, atol=1e-6)
    assert not admm(A, b, soft_threshold(0.5), penalty=1e4, balance=False, tolerance=1e-9, iterations=500)


# -- total variation ---------------------------------------------------------------------------------------------------


def blocks(n: int) -> np.ndarray:
    """Return a noisy image with edges."""
    image = np.zeros((n, n))
    image[n // 4 : n // 2, n // 3 :] = 2.0
    image[n // 2 :, : n // 2] = 1.0
    return image + 0.2 * np.random.default_rng(0).standard_normal((n, n))


@pytest.mark.parametrize("isotropic", [True, False])
def test_denoising(isotropic: bool) -> None:
    """Three methods find the same image, whose value no other image goes below; the dual is in the unit ball."""
    b, weight = blocks(8), 0.3
    G = Gradient(Euclidean((8, 8)), boundary="edge")

    def value(x: np.ndarray) -> float:
        return 0.5 * float(np.sum((x - b) ** 2)) + weight * total_variation(G, x, isotropic=isotropic)

    x = variation(G, weight, isotropic=isotropic, tolerance=1e-9, iterations=20_000)(b, 1.0)
    split = admm(Identity(G.domain), b, slopes(weight, isotropic=isotropic), K=G, tolerance=1e-8, iterations=5000)
    both = primal_dual(G, misfit(b), slopes(weight, isotropic=isotropic), tolerance=1e-7, iterations=20_000)
    assert split
    assert both
    np.testing.assert_allclose(split.x, x, atol=1e-5)
    np.testing.assert_allclose(both.x, x, atol=1e-4)
    # Strong duality: the value is that of the dual, (|b|^2 - |b - K* y|^2) / 2 for y in the ball of the weight.
    y = both.dual
    longest = np.hypot(*y).max() if isotropic else max(np.abs(part).max() for part in y)
    assert longest <= weight * (1 + 1e-12)
    assert value(x) == pytest.approx((np.sum(b**2) - np.sum((b - G.H(y)) ** 2)) / 2, rel=1e-6)


def test_values_of_total_variation() -> None:
    """Of a step, the value is its height times the length of the edge, however smooth; weights count."""
    G = Gradient(Euclidean((8, 8)), boundary="edge")
    step, ramp = np.zeros((8, 8)), np.tile(np.linspace(0, 3, 8), (8, 1))
    step[:, 4:] = 3.0
    assert total_variation(G, step) == total_variation(G, step, isotropic=False) == 24.0
    assert total_variation(G, ramp) == pytest.approx(24.0)
    # An edge that turns a corner costs sqrt(2) there instead of two.
    corner = np.zeros((8, 8))
    corner[:4, :4] = 1.0
    assert total_variation(G, corner) == pytest.approx(6 + np.sqrt(2))
    assert total_variation(G, corner, isotropic=False) == 8.0
    assert total_variation(G, 1j * corner) if G.domain.dtype.kind == "c" else True
    W = Weighted(Euclidean(4), 0.5)
    D = Gradient(W, boundary="edge")
    assert total_variation(D, np.array([0.0, 1.0, 1.0, 3.0])) == 1.5


@pytest.mark.parametrize("method", ["admm", "primal_dual", "fista"])
@pytest.mark.parametrize("isotropic", [True, False])
def test_deblurring_across_ranks(method: str, isotropic: bool) -> None:
    """A split image is deblurred with total variation: on 2 and 4 ranks, the answer is that of one, to 12 digits."""
    image, kernel = blocks(12), np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0]) / 16

    def main(world: World) -> Any:
        rows = world.size if world.size < 4 else 2
        S = DistributedSpace(Grid(world, r=rows, c=world.size // rows), image.shape, r=Split(0), c=Split(1))
        G = DistributedGradient(S, boundary="edge")
        A = DistributedConvolution(S, kernel, padding=1)
        b = A(S.from_global(image))
        prox = slopes(0.05, isotropic=isotropic)
        options: dict[str, Any] = {"tolerance": 0.0, "iterations": 20}
        if method == "admm":
            result = admm(A, b, prox, K=G, inner=5, **options)
        elif method == "primal_dual":
            result = primal_dual(VStack(A, G), nonnegative(), separate(misfit(b), prox), **options)
        else:
            result = fista(A, b, variation(G, 0.05, isotropic=isotropic, tolerance=0.0, iterations=10), **options)
        return S.to_global(result.x), result.residuals, total_variation(G, result.x, isotropic=isotropic)

    x, residuals, value = simulate(1, main)[0]
    for ranks in (2, 4):
        answers = simulate(ranks, main)
        for found, history, measured in answers:
            assert history == answers[0][1]
            np.testing.assert_allclose(found, x, rtol=0, atol=1e-12 * np.abs(x).max())
            # Residuals are differences of vectors of the size of x.
            np.testing.assert_allclose(history, residuals, rtol=1e-9, atol=1e-11)
            assert measured == pytest.approx(value, rel=1e-11)


# -- when they stop, and what they refuse ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["admm", "primal_dual"])
def test_why_they_stop(method: str) -> None:
    """Converged, out of steps, stopped by the callback: each has its reason, and the history has every step."""
    A, b = Diagonal([1.0, 3.0]), np.array([2.0, 3.0])

    def solver(**options: Any) -> Result:
        if method == "admm":
            return admm(A, b, soft_threshold(0.5), **options)
        return primal_dual(A, soft_threshold(0.5), misfit(b), **options)

    states: list[Any] = []
    done = solver(callback=states.append)
    assert (done.converged, done.reason) == (True, RESIDUAL)
    assert [state.iteration for state in states] == list(range(1, done.iterations + 1))
    assert len(done.residuals) == done.iterations + 1
    np.testing.assert_allclose(done.x, [1.5, 17 / 18], atol=1e-5)
    few = solver(iterations=2)
    assert (few.converged, few.reason, few.iterations) == (False, USED_UP, 2)
    stopped = solver(callback=lambda state: state.iteration == 3)
    assert (stopped.converged, stopped.reason, stopped.iterations) == (False, CALLBACK, 3)
    start = solver(x0=np.ones(2), iterations=0)
    assert start.x.tolist() == [1.0, 1.0]
    before = (b.tolist(), A.entries.tolist())
    assert before == ([2.0, 3.0], [1.0, 3.0])


def test_precision_and_library() -> None:
    """Iterates stay in the library and precision of b."""
    A, b = Matrix([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([1.0, 2.0])
    expected = fista(A, b.numpy(), ridge(0.5), tolerance=1e-6)
    for result in (
        admm(A, b, ridge(0.5), tolerance=1e-5),
        primal_dual(A, ridge(0.5), misfit(b), like=b, tolerance=1e-5),
        fista(A, b, ridge(0.5), tolerance=1e-5, restart=True),
    ):
        assert result
        assert result.x.dtype == torch.float32
        np.testing.assert_allclose(result.x.numpy(), expected.x, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda A: admm(A, B, box(), penalty=0.0), ValueError, r"admm with Diag.*penalty that is positive, found 0"),
        (
            lambda A: admm(A, B, box(), penalty=-1.0),
            ValueError,
            "penalty to be a finite number, zero or more, found -1",
        ),
        (lambda A: admm(A, B, box(), K=Identity(Euclidean(3))), SpaceError, "admm with Diag.*expected a K from"),
        (lambda A: admm(A, np.ones(3), box()), SpaceError, r"found shape \(3,\)"),
        (lambda A: admm(A, np.ones((2, 2)), box()), SpaceError, r"one vector for b, found batch axes \(2,\)"),
        (lambda A: admm(A, B, lambda *_: None), SpaceError, "found NoneType"),
        (lambda A: primal_dual(A, free(), lambda *_: None), SpaceError, "found NoneType"),
        (lambda A: primal_dual(A, lambda *_: None, free()), SpaceError, "found NoneType"),
        (lambda A: primal_dual(A, free(), free(), dual_step=0.0), ValueError, "dual_step that is positive"),
        (lambda A: primal_dual(A, free(), free(), convexity=np.nan), ValueError, "convexity to be a finite number"),
        (lambda A: primal_dual(A, free(), free(), y0=np.ones(3)), SpaceError, r"found shape \(3,\)"),
        (
            lambda _: variation(Gradient(Euclidean(3)), -1.0),
            ValueError,
            "variation: expected weight to be a finite number, zero or more",
        ),
    ],
)
def test_errors(call: Callable[..., object], error: type[Exception], message: str) -> None:
    """What cannot be is refused by name."""
    with pytest.raises(error, match=message):
        call(Diagonal([1.0, 2.0]))


@pytest.mark.parametrize("size", [1e-200, 1e200])
@pytest.mark.parametrize("method", ["fista", "nnls", "admm", "primal_dual"])
def test_tiny_and_huge_data(method: str, size: float) -> None:
    """Data whose squares are no numbers are solved as others are, and never in silence for zero."""
    entries, b = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 5.0]]), size * np.array([1.0, 2.0, 3.0])
    A = Matrix(entries)
    results: dict[str, Callable[[], Result]] = {
        "fista": lambda: fista(A, b, nonnegative(), tolerance=1e-9),
        "nnls": lambda: nnls(A, b),
        "admm": lambda: admm(A, b, nonnegative(), tolerance=1e-9),
        "primal_dual": lambda: primal_dual(A, nonnegative(), misfit(b), tolerance=1e-9, iterations=20_000),
    }
    result = results[method]()
    assert result, result
    np.testing.assert_allclose(result.x / size, np.linalg.solve(entries, b / size), rtol=1e-6)
