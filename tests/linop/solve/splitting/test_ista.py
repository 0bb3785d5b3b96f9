"""ISTA and FISTA minimise least squares with a second convex function; proximal maps are what they should be."""

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import Diagonal, Euclidean, FunctionOperator, Identity, Matrix, Product, Space, SpaceError, Weighted, Zero
from linop.solve import Result, ball, box, fista, ista, ridge, soft_threshold
from linop.solve.loop import CALLBACK, NOT_FINITE, RESIDUAL, USED_UP

pytestmark = pytest.mark.serial

TOLERANCE = 1e-8
each_solver = pytest.mark.parametrize("solver", [ista, fista], ids=["ista", "fista"])


def complex_normal(generator: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return random entries, complex where the dtype is."""
    entries = generator.standard_normal(shape)
    return entries + 1j * generator.standard_normal(shape) if dtype == "complex128" else entries


# -- least squares with a penalty --------------------------------------------------------------------------------------


@each_solver
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(["float64", "complex128"]),
    weight=st.sampled_from([0.3, 1.0, 10.0]),
    weighted=st.booleans(),
    backtracking=st.booleans(),
)
def test_lasso(
    solver: Callable[..., Result],
    rows: int,
    columns: int,
    seed: int,
    dtype: str,
    weight: float,
    weighted: bool,
    backtracking: bool,
) -> None:
    """The LASSO is solved: A.H (b - A x) is weight * sign(x) where x is not zero, and not longer elsewhere.

    Where x = T(y), the deviation from them is ``grad(x) - grad(y) - L (x - y)``, of at most twice the residual.
    """
    generator = np.random.default_rng(seed)
    wx, wy = generator.uniform(0.5, 2, columns), generator.uniform(0.5, 2, rows)
    X: Space = Euclidean(columns, dtype)
    Y: Space = Euclidean(rows, dtype)
    if weighted:
        X, Y = Weighted(X, wx), Weighted(Y, wy)
    A, b = Matrix(complex_normal(generator, (rows, columns), dtype), X, Y), complex_normal(generator, (rows,), dtype)
    options: dict[str, Any] = {"lipschitz": 0.1, "backtracking": True} if backtracking else {}
    result = solver(A, b, soft_threshold(weight), iterations=100_000, tolerance=1e-6, **options)
    assert result, result
    x = result.x
    correlation = A.H(b - A(x))
    subgradient = np.where(x == 0, correlation / np.maximum(weight, np.abs(correlation)) * weight, weight * np.sign(x))
    assert X.norm(correlation - subgradient) <= 2 * result.residuals[-1] + 1e-12 * X.norm(A.H(b))
    assert result.residuals[-1] <= 1e-6 * X.norm(A.H(b)) * (1 + 1e-12)


@each_solver
def test_ridge_is_damped_least_squares(solver: Callable[..., Result]) -> None:
    """With a quadratic penalty, the minimiser solves linear equations."""
    generator = np.random.default_rng(1)
    X, Y = Weighted(Euclidean(4), [1.0, 2.0, 3.0, 4.0]), Weighted(Euclidean(6), 0.5)
    A, b = Matrix(generator.standard_normal((6, 4)), X, Y), generator.standard_normal(6)
    result = solver(A, b, ridge(0.7), tolerance=TOLERANCE, iterations=10_000)
    assert result
    weights = np.diag([1.0, 2.0, 3.0, 4.0])
    expected = np.linalg.solve(0.5 * A.entries.T @ A.entries + 0.7 * weights, 0.5 * A.entries.T @ b)
    # The sum is strongly convex, with 0.7: |x - x*| <= |subgradient| / 0.7, and that is at most twice the residual.
    assert X.norm(result.x - expected) <= 2 * result.residuals[-1] / 0.7 + 1e-13


@each_solver
def test_nonnegative_least_squares(solver: Callable[..., Result]) -> None:
    """With the projection onto vectors that are not negative, the minimiser is scipy's."""
    generator = np.random.default_rng(2)
    entries, b = generator.standard_normal((12, 6)), generator.standard_normal(12)
    result = solver(Matrix(entries), b, box(), tolerance=TOLERANCE, iterations=10_000)
    assert result
    expected, _ = scipy.optimize.nnls(entries, b)
    assert (expected == 0).any()
    # Strongly convex, with the square of the least singular value.
    convexity = np.linalg.svd(entries, compute_uv=False)[-1] ** 2
    assert np.linalg.norm(result.x - expected) <= 2 * result.residuals[-1] / convexity + 1e-13
    assert np.all(result.x >= 0)


@each_solver
def test_least_squares_in_a_ball(solver: Callable[..., Result]) -> None:
    """On the boundary of a ball, the gradient points to the centre."""
    X = Weighted(Euclidean(3), [1.0, 2.0, 0.5])
    A, b = Matrix(np.diag([1.0, 2.0, 3.0]) + 0.5, X, Euclidean(3)), np.array([5.0, -3.0, 2.0])
    result = solver(A, b, ball(X, 1.0), tolerance=TOLERANCE)
    assert result
    assert X.norm(result.x) == pytest.approx(1.0, rel=1e-14)
    descent = A.H(b - A(result.x))
    along = X.inner(result.x, descent)
    assert along > 0
    assert X.norm(descent - along * result.x) <= 2 * result.residuals[-1] + 1e-13


@pytest.mark.parametrize(("solver", "bound"), [(ista, lambda k: 1 / (2 * k)), (fista, lambda k: 2 / (k + 1) ** 2)])
def test_rates_of_convergence(solver: Callable[..., Result], bound: Callable[[int], float]) -> None:
    """F(x_k) - F(x*) is at most L |x0 - x*|^2 / (2 k) for ISTA, 2 L |x0 - x*|^2 / (k + 1)^2 for FISTA: theorems."""
    generator = np.random.default_rng(3)
    entries = generator.standard_normal((30, 60)) * np.logspace(0, -1, 60)  # ill-conditioned
    A, b, weight = Matrix(entries), generator.standard_normal(30), 0.01
    L = np.linalg.norm(entries, 2) ** 2

    def objective(x: np.ndarray) -> float:
        return float(0.5 * np.sum((entries @ x - b) ** 2) + weight * np.sum(np.abs(x)))

    best = fista(A, b, soft_threshold(weight), lipschitz=L, tolerance=1e-9, iterations=50_000)
    assert best
    values: list[float] = []
    solver(
        A,
        b,
        soft_threshold(weight),
        lipschitz=L,
        iterations=300,
        tolerance=0.0,
        callback=lambda state: values.append(objective(state.x)),
    )
    excess = np.array(values) - objective(best.x)
    steps = np.arange(1, 301)
    allowed = L * np.sum(best.x**2) * np.array([bound(k) for k in steps])
    assert np.all(excess <= allowed + 1e-12 * objective(np.zeros(60)))
    if solver is ista:  # a method of descent
        assert np.all(np.diff(values) <= 1e-13 * values[0])


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("momentum", [False, True])
def test_iterates_are_those_of_the_definition(start: bool, momentum: bool) -> None:
    """Step by step, x and the residual are what the formulas of Beck and Teboulle give, written with dense matrices."""
    generator = np.random.default_rng(5)
    a, b, L, weight = generator.standard_normal((8, 5)), generator.standard_normal(8), 40.0, 0.4
    x = generator.standard_normal(5) if start else np.zeros(5)
    seen: list[Any] = []
    options: dict[str, Any] = {"lipschitz": L, "iterations": 20, "tolerance": 0.0, "callback": seen.append}
    result = (fista if momentum else ista)(Matrix(a), b, soft_threshold(weight), x0=x if start else None, **options)
    y, t = x, 1.0
    for k in range(20):
        z = y - a.T @ (a @ y - b) / L
        after = np.sign(z) * np.maximum(np.abs(z) - weight / L, 0)
        # Each step adds a few roundings and does not amplify them (by three at most, with momentum).
        np.testing.assert_allclose(seen[k].x, after, atol=1e-14 * (k + 1) ** 2)
        assert result.residuals[k + 1] == pytest.approx(L * np.linalg.norm(after - y), rel=1e-9, abs=1e-11)
        t_after = (1 + np.sqrt(1 + 4 * t**2)) / 2
        y = after + (t - 1) / t_after * (after - x) if momentum else after
        x, t = after, t_after
    assert result.residuals[0] == result.residuals[1]


def test_fista_is_faster() -> None:
    """On an ill-conditioned problem, FISTA takes less than a fifth of ISTA's steps."""
    generator = np.random.default_rng(4)
    A, b = Matrix(generator.standard_normal((40, 40)) * np.logspace(0, -1, 40)), generator.standard_normal(40)
    slow, fast = (s(A, b, soft_threshold(0.01), tolerance=1e-4, iterations=100_000) for s in (ista, fista))
    assert slow
    assert fast
    assert fast.iterations < slow.iterations / 5


# -- when it stops -----------------------------------------------------------------------------------------------------


@each_solver
def test_why_it_stops(solver: Callable[..., Result]) -> None:
    """Converged, out of steps, stopped by the callback: each has its reason, and the history has every step."""
    A, b, prox = Diagonal([1.0, 3.0]), np.array([2.0, 3.0]), soft_threshold(0.5)
    states: list[Any] = []
    done = solver(A, b, prox, callback=states.append)
    assert (done.converged, done.reason) == (True, RESIDUAL)
    assert [state.iteration for state in states] == list(range(1, done.iterations + 1))
    assert len(done.residuals) == done.iterations + 1
    few = solver(A, b, prox, iterations=2)
    assert (few.converged, few.reason, few.iterations) == (False, USED_UP, 2)
    stopped = solver(A, b, prox, callback=lambda state: state.iteration == 3)
    assert (stopped.converged, stopped.reason, stopped.iterations) == (False, CALLBACK, 3)
    start = solver(A, b, prox, x0=done.x)
    assert (start.converged, start.iterations) == (True, 0)
    np.testing.assert_array_equal(start.x, done.x)
    assert not np.shares_memory(start.x, done.x)


@each_solver
def test_a_step_that_is_too_long(solver: Callable[..., Result]) -> None:
    """With L far too small the iterates grow; this is noticed, and mended by backtracking."""
    A, b = Matrix([[3.0, 1.0], [0.0, 2.0]]), np.array([1.0, 2.0])
    for lipschitz in (0.5, 1e-3, 1e-100):
        result = solver(A, b, soft_threshold(0.1), lipschitz=lipschitz)
        assert not result
        assert result.reason.startswith("breakdown: the residual grows without bound; L = ")
        assert result.iterations < 100
        assert np.all(np.isfinite(result.x))
        mended = solver(A, b, soft_threshold(0.1), lipschitz=lipschitz, backtracking=True)
        assert mended
        usual = solver(A, b, soft_threshold(0.1))
        # The least singular value of A is 1.8: a deviation of twice the residual, over its square.
        np.testing.assert_allclose(mended.x, usual.x, atol=2 * (mended.residuals[-1] + usual.residuals[-1]) / 1.8**2)


@each_solver
def test_zero_operator_and_zero_data(solver: Callable[..., Result]) -> None:
    """With A = 0 only the penalty counts; with b = 0 and a penalty that is least at zero, zero is found at once."""
    nothing = solver(Zero(Euclidean(2), Euclidean(3)), np.ones(3), box(1.0, 2.0))
    assert nothing
    assert nothing.x.tolist() == [1.0, 1.0]
    zero = solver(Diagonal([1.0, 2.0]), np.zeros(2), soft_threshold(1.0))
    assert (zero.converged, zero.iterations, zero.x.tolist()) == (True, 0, [0.0, 0.0])
    moved = solver(Diagonal([1.0, 2.0]), np.zeros(2), box(1.0, 2.0))
    assert moved
    np.testing.assert_allclose(moved.x, [1.0, 1.0], rtol=1e-5)
    # With |x - 1|^2 / 2 for a penalty, the first residual is what the tolerance is relative to.
    centred = solver(Diagonal([1.0, 2.0]), np.zeros(2), lambda x, step: (x + step) / (1 + step))
    assert centred
    assert 0 < 1e-10 * centred.residuals[0] < centred.residuals[-1] <= 1e-6 * centred.residuals[0]
    np.testing.assert_allclose(centred.x, [0.5, 0.2], atol=2e-6 * np.sqrt(2))


@each_solver
def test_not_finite(solver: Callable[..., Result]) -> None:
    """Data or a proximal map with NaN end in a breakdown."""
    for bad in (np.nan, np.inf):
        result = solver(Matrix([[0.0, 1.0], [1.0, 0.0]]), np.array([bad, 1.0]), soft_threshold(1.0))
        assert (result.converged, result.reason, result.x.tolist()) == (False, NOT_FINITE, [0.0, 0.0])
    result = solver(Identity(Euclidean(2)), np.ones(2), lambda x, _: np.nan * x, backtracking=True)
    assert (result.converged, result.reason) == (False, NOT_FINITE)


def test_errors() -> None:
    """What cannot be is refused by name."""
    A, b = Matrix([[1.0, 2.0]]), np.ones(1)
    with pytest.raises(ValueError, match=r"fista: expected lipschitz to be a finite number, zero or more.* found -1"):
        fista(A, b, box(), lipschitz=-1.0)
    with pytest.raises(ValueError, match=r"ista with Matrix\(1x2\).*a lipschitz that is positive, found 0"):
        ista(A, b, box(), lipschitz=0.0)
    with pytest.raises(SpaceError, match=r"Matrix\(1x2\).*found shape \(2,\)"):
        fista(A, np.ones(2), box())
    with pytest.raises(SpaceError, match=r"one vector for b, found batch axes \(3,\)"):
        fista(A, np.ones((3, 1)), box())
    with pytest.raises(SpaceError, match=r"Matrix\(1x2\).*found NoneType"):
        fista(A, b, lambda *_: None)
    with pytest.raises(TypeError, match="ista: expected A to be a LinearOperator"):
        ista(A.entries, b, box())  # type: ignore[arg-type]


# -- which vectors -----------------------------------------------------------------------------------------------------


@each_solver
@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "array_api_strict"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_any_array_library(solver: Callable[..., Result], xp: Any, dtype: str) -> None:
    """Iterates stay in the library and precision of b; they are NumPy's, to rounding."""
    X = Euclidean(2, complex if dtype == "complex64" else float)
    A, b = Matrix([[1.0, 0.5], [0.5, 3.0]], X, X), np.array([2.0, -1.0], dtype)
    found = solver(A, xp.asarray(b), soft_threshold(0.25), iterations=5, lipschitz=10.0)
    expected = solver(A, b, soft_threshold(0.25), iterations=5, lipschitz=10.0)
    assert type(found.x) is type(xp.asarray(b))
    assert found.x.dtype == xp.asarray(b).dtype
    assert expected.x.dtype == b.dtype
    np.testing.assert_allclose(np.from_dlpack(found.x), expected.x, rtol=100 * np.finfo(dtype).eps)
    assert solver(A, xp.asarray(b), soft_threshold(0.25), tolerance=1e-4).x.dtype == found.x.dtype


@each_solver
def test_products(solver: Callable[..., Result]) -> None:
    """Vectors may be tuples: a signal that is the sum of a sparse one and a smooth one."""
    X = Product(Euclidean(3), Weighted(Euclidean(3), 2.0))
    Y = Euclidean(3)
    A = FunctionOperator(X, Y, lambda x: x[0] + x[1], lambda y: (y, y))
    b = np.array([5.0, 0.1, -0.2])
    result = solver(A, b, soft_threshold(0.4), tolerance=TOLERANCE, iterations=10_000)
    assert result
    assert isinstance(result.x, tuple)
    # Weights make the second part twice as expensive, so that it stays zero: A.H r is (r, r / 2).
    np.testing.assert_allclose(result.x[0], [4.6, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(result.x[1], np.zeros(3), atol=1e-6)


def test_arguments_are_left_alone() -> None:
    """Neither b nor x0 is changed or aliased."""
    A, b, x0 = Diagonal([1.0, 2.0]), np.array([1.0, 1.0]), np.array([3.0, 4.0])
    for iterations in (0, 1, 10):
        result = fista(A, b, lambda x, _: x, x0=x0, iterations=iterations)
        assert (b.tolist(), x0.tolist()) == ([1.0, 1.0], [3.0, 4.0])
        assert not np.shares_memory(result.x, b)
        assert not np.shares_memory(result.x, x0)


@each_solver
def test_across_ranks(solver: Callable[..., Result]) -> None:
    """On simulated ranks, the iterates are those in one process, and all ranks have the same history."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=world.size), (10,), p=Split(0))
        H = HaloExchange(S, {0: (1, 1)})
        scale = S.from_global(np.linspace(1, 2, 10))
        A = H @ FunctionOperator(S, S, lambda x: scale * x, lambda x: scale * x)
        b = H(S.from_global(np.cos(np.arange(10.0))))
        plain = solver(A, b, soft_threshold(0.3), lipschitz=12.0)
        searched = solver(A, b, soft_threshold(0.3), lipschitz=0.1, backtracking=True)
        assert plain, plain
        return S.to_global(plain.x), plain.residuals, searched.residuals, bool(plain) and bool(searched)

    answers = simulate(3, main)
    assert all(answer[1:] == answers[0][1:] for answer in answers)
    x, _, _, converged = answers[0]
    assert converged
    # How often a rank sees an entry: twice at the borders of the three intervals, of 4, 3 and 3.
    seen = np.array([1, 1, 1, 2, 2, 1, 2, 2, 1, 1.0])
    scale = np.linspace(1, 2, 10)
    data = np.cos(np.arange(10.0))
    # Entry by entry: least  seen (s x - d)^2 / 2 + 0.3 |x|.
    expected = np.sign(data) * np.maximum(seen * scale * np.abs(data) - 0.3, 0) / (seen * scale**2)
    np.testing.assert_allclose(x, expected, atol=1e-5)


# -- proximal maps -----------------------------------------------------------------------------------------------------

X = Weighted(Euclidean(3), [1.0, 2.0, 0.5])
W = np.array([1.0, 2.0, 0.5])
MAPS: dict[str, tuple[Any, Callable[[np.ndarray], float]]] = {
    "soft_threshold": (soft_threshold(1.5), lambda z: float(1.5 * np.sum(W * np.abs(z)))),
    "ridge": (ridge(1.5), lambda z: 0.75 * X.norm(z) ** 2),
    "box": (box(-0.5, 1.0), lambda z: 0.0 if np.all((z >= -0.5) & (z <= 1.0)) else np.inf),
    "ball": (ball(X, 1.5), lambda z: 0.0 if X.norm(z) <= 1.5 * (1 + 1e-15) else np.inf),
}


@given(
    name=st.sampled_from(sorted(MAPS)),
    seed=st.integers(0, 2**16),
    step=st.sampled_from([0.1, 1.0, 5.0]),
    size=st.sampled_from([1e-6, 0.01, 1.0]),
)
def test_proximal_maps_minimise(name: str, seed: int, step: float, size: float) -> None:
    """No vector near or far has a smaller g(z) + |z - x|^2 / (2 step) than prox(x, step), in the norm of the space."""
    prox, g = MAPS[name]
    x = 2 * X.normal(seed)
    before = x.copy()
    z = prox(x, step)
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(x, z)

    def value(v: np.ndarray) -> float:
        return g(v) + X.norm(v - x) ** 2 / (2 * step)

    least = value(z)
    assert least < np.inf
    for k in range(5):
        assert value(z + size * X.normal((seed, k))) >= least * (1 - 1e-14)
        assert value(z + size * (x - z)) >= least * (1 - 1e-14)


def test_soft_threshold_of_complex_numbers() -> None:
    """The modulus shrinks, the phase stays, and zero stays zero."""
    z = soft_threshold(1.0)(np.array([3.0 + 4j, 0.0, 0.3j]), 2.0)
    np.testing.assert_allclose(z, [1.8 + 2.4j, 0.0, 0.0], rtol=1e-15)


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "array_api_strict"])
def test_proximal_maps_of_any_array_library(xp: Any) -> None:
    """Arrays of tuples keep their library and precision."""
    x = (xp.asarray(np.array([2.0, -0.25, 0.0], np.float32)), (xp.asarray(np.array([[-3.0]])),))
    space = Product(Euclidean(3), Product(Euclidean((1, 1))))
    expected = {
        "soft": (soft_threshold(0.5), [1.5, 0.0, 0.0], [[-2.5]]),
        "box": (box(0.0, 1.0), [1.0, 0.0, 0.0], [[0.0]]),
        "ridge": (ridge(1.0), [1.0, -0.125, 0.0], [[-1.5]]),
        "ball": (ball(space, 100.0), [2.0, -0.25, 0.0], [[-3.0]]),
    }
    for prox, first, second in expected.values():
        y = prox(x, 1.0)
        assert (y[0].dtype, y[1][0].dtype) == (xp.float32, xp.float64)
        assert type(y[0]) is type(x[0])
        np.testing.assert_array_equal(np.from_dlpack(y[0]), first)
        np.testing.assert_array_equal(np.from_dlpack(y[1][0]), second)


@pytest.mark.parametrize(
    "make",
    [
        lambda: soft_threshold(-1.0),
        lambda: ridge(float("nan")),
        lambda: ball(Euclidean(2), float("inf")),
        lambda: box(2.0, 1.0),
        lambda: box(float("nan"), 1.0),
    ],
)
def test_proximal_maps_refuse(make: Callable[[], object]) -> None:
    """Negative weights and empty boxes are refused by name."""
    with pytest.raises(ValueError, match=r"(soft_threshold|ridge|ball|box): expected"):
        make()
