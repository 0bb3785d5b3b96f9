"""Every solver of linear equations: when it stops, what it says, what it refuses, what it leaves alone."""

import math
import sys
from collections.abc import Callable, Generator
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

from linop import (
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    LinearOperator,
    LinopError,
    Matrix,
    Product,
    SpaceError,
    Weighted,
    Zero,
    reweight,
)
from linop.solve import Result, State, cg, cgls, lsmr, lsqr, minres
from linop.solve.loop import (
    CALLBACK,
    LEAST_SQUARES,
    NOT_FINITE,
    RESIDUAL,
    ROUNDING,
    USED_UP,
    ZERO,
    Settings,
    Step,
    run,
)

pytestmark = pytest.mark.serial

Solver = Callable[..., Result]
SOLVERS = [cg, cgls, lsqr, lsmr, minres]
each_solver = pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.__name__)

ENTRIES = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 5.0]])
A, B = Matrix(ENTRIES), np.array([1.0, -2.0, 4.0])
SOLUTION = np.linalg.solve(ENTRIES, B)
CONDITION = np.linalg.cond(ENTRIES)
LAPLACE = Matrix(2 * np.eye(30) - np.eye(30, k=1) - np.eye(30, k=-1))
ONES = np.arange(1.0, 31.0)


# -- what a result is --------------------------------------------------------------------------------------------------


def test_a_result_is_true_when_it_converged() -> None:
    """bool(result) is result.converged."""
    assert Result(0.0, True, "fine", 1, (1.0, 0.0))
    assert not Result(0.0, False, "not fine", 1, (1.0, 0.0))


def test_a_result_prints_in_one_line() -> None:
    """The text says what happened, and does not show the vector."""
    result = cg(LAPLACE, ONES)
    text = repr(result)
    assert text == f"Result(converged after 30 iterations, residual {result.residuals[-1]:.1e}: {RESIDUAL})"
    assert "not converged after 1 iteration," in repr(cg(LAPLACE, ONES, iterations=1))


def test_a_result_cannot_be_changed() -> None:
    """It is frozen."""
    with pytest.raises(AttributeError):
        cg(A, B).converged = False  # type: ignore[misc]


# -- why solvers stop --------------------------------------------------------------------------------------------------


@each_solver
def test_the_tolerance_is_reached(solver: Solver) -> None:
    """Where a solver has converged, |b - A x| really is at most tolerance |b|, and the history has every step."""
    for tolerance in (1e-2, 1e-6, 1e-12):
        result = solver(A, B, tolerance=tolerance)
        assert result
        assert result.reason == RESIDUAL
        residual = np.linalg.norm(B - ENTRIES @ result.x)
        # Twice: this residual is computed by another sum, whose roundings are below 1e-15 |A| |x| < 1e-12 |b|.
        assert residual <= 2 * tolerance * np.linalg.norm(B)
        assert len(result.residuals) == result.iterations + 1
        assert result.residuals[0] == pytest.approx(np.linalg.norm(B), rel=1e-15)
        assert result.residuals[-1] <= tolerance * np.linalg.norm(B)
        # |x - x*| = |A^-1 r| <= cond(A) |x*| |r| / |b|
        assert np.linalg.norm(result.x - SOLUTION) <= 2 * tolerance * CONDITION * np.linalg.norm(SOLUTION)


@each_solver
def test_the_absolute_tolerance_is_reached(solver: Solver) -> None:
    """A residual below `absolute` is good enough, whatever the right-hand side."""
    result = solver(A, B, tolerance=0.0, absolute=0.5)
    assert result
    assert result.reason == RESIDUAL
    assert result.residuals[-2] > 0.5
    assert np.linalg.norm(B - ENTRIES @ result.x) <= 0.5 * (1 + 1e-12)


@each_solver
def test_the_iterations_are_used_up(solver: Solver) -> None:
    """After `iterations` steps a solver stops, without having converged; after none it returns the start."""
    result = solver(LAPLACE, ONES, iterations=3)
    assert (result.converged, result.reason, result.iterations, len(result.residuals)) == (False, USED_UP, 3, 4)
    start = solver(LAPLACE, ONES, x0=np.ones(30), iterations=0)
    assert (start.converged, start.reason, start.iterations) == (False, USED_UP, 0)
    np.testing.assert_array_equal(start.x, np.ones(30))


@each_solver
def test_convergence_in_the_last_iteration_counts(solver: Solver) -> None:
    """A solver that needs k steps converges when it is given k."""
    needed = solver(LAPLACE, ONES).iterations
    assert solver(LAPLACE, ONES, iterations=needed)
    assert not solver(LAPLACE, ONES, iterations=needed - 1)


@each_solver
def test_the_callback_sees_every_step_and_stops(solver: Solver) -> None:
    """It is called once for each step, with the iterate and its residual; True stops the solver, anything false not."""
    states: list[State] = []
    result = solver(LAPLACE, ONES, callback=states.append)
    assert [state.iteration for state in states] == list(range(1, result.iterations + 1))
    assert [state.residual for state in states[:-1]] == list(result.residuals[1:-1])
    np.testing.assert_array_equal(states[-1].x, result.x)
    for state in states:  # the recurrence's residual is that of the iterate, to 1e-15 times cond = 400, and some
        true = np.linalg.norm(ONES - LAPLACE.entries @ state.x)
        assert state.residual == pytest.approx(true, abs=1e-11 * np.linalg.norm(ONES))
    stopped = solver(LAPLACE, ONES, callback=lambda state: state.iteration == 2)
    assert (stopped.converged, stopped.reason, stopped.iterations) == (False, CALLBACK, 2)
    np.testing.assert_array_equal(stopped.x, states[1].x)


@each_solver
def test_convergence_comes_before_the_callback(solver: Solver) -> None:
    """A callback that stops at the step that converges does not undo that."""
    result = solver(Identity(Euclidean(3)), B, callback=lambda _: True)
    assert (result.converged, result.iterations) == (True, 1)


@each_solver
def test_zero_right_hand_side(solver: Solver) -> None:
    """The solution of A x = 0 is zero, from any start, without a step."""
    for x0 in (None, np.ones(3)):
        result = solver(A, np.zeros(3), x0=x0)
        assert (result.converged, result.reason, result.iterations, result.residuals) == (True, ZERO, 0, (0.0,))
        np.testing.assert_array_equal(result.x, np.zeros(3))


@each_solver
def test_a_start_that_is_the_solution(solver: Solver) -> None:
    """No step is made from the exact solution: its residual is zero, also where the tolerance is."""
    x = np.array([1.0, 2.0, -3.0])
    result = solver(A, ENTRIES @ x, x0=x, tolerance=0.0)
    assert (result.converged, result.reason, result.iterations, result.residuals) == (True, RESIDUAL, 0, (0.0,))
    np.testing.assert_array_equal(result.x, x)


@each_solver
def test_exact_solution_in_one_step(solver: Solver) -> None:
    """From a multiple of the identity, the solution is exact after a step, and nothing is divided by zero."""
    result = solver(2 * Identity(Euclidean(2)), np.array([0.0, 4.0]), tolerance=0.0)
    assert (result.converged, result.iterations) == (True, 1)
    np.testing.assert_array_equal(result.x, [0.0, 2.0])


@each_solver
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite(solver: Solver, bad: float) -> None:
    """A right-hand side, a start or an operator with NaN or infinities ends in a breakdown, not in a loop."""
    wrong = np.array([1.0, bad, 0.0])
    for result in (solver(A, wrong), solver(A, B, x0=wrong)):
        assert (result.converged, result.reason, result.iterations) == (False, NOT_FINITE, 0)
    spoil = FunctionOperator(Euclidean(3), Euclidean(3), lambda x: bad * x, lambda y: bad * y)
    result = solver(spoil, B)
    assert not result
    assert result.reason.startswith("breakdown")
    np.testing.assert_array_equal(result.x, np.zeros(3))


@each_solver
def test_a_step_that_overflows_leaves_the_last_good_iterate(solver: Solver) -> None:
    """Where A x overflows, the iterate before is returned, and it is finite."""
    result = solver(Diagonal([1e200, 1.0, 1e308]), B)
    assert result.reason.startswith(("breakdown", LEAST_SQUARES))
    assert np.all(np.isfinite(result.x))


@each_solver
def test_numbers_that_are_tiny(solver: Solver) -> None:
    """Where products underflow, there is no division by zero, and what is returned is finite."""
    for scale in (1e-160, 1e-200, 5e-324):
        result = solver(Diagonal([scale, 2 * scale, scale]), np.array([1.0, 2.0, -3.0]))
        assert result.converged or result.reason.startswith(("breakdown", USED_UP))
        assert not np.any(np.isnan(result.x))


@each_solver
def test_a_tolerance_that_rounding_forbids(solver: Solver) -> None:
    """Where the recurrence promises more than the true residual holds, the result does not claim to have converged."""
    result = solver(LAPLACE, ONES.astype(np.float32), tolerance=1e-12)
    assert (result.converged, result.reason) == (False, ROUNDING)
    true = np.linalg.norm(ONES - LAPLACE.entries @ result.x.astype(float))
    # The recurrence says below 1e-12; the truth is |A| |x| eps, with |x| up to cond |b| / |A|, and cond = 400.
    assert 1e-12 < result.residuals[-1] / np.linalg.norm(ONES) < 400 * 2**-23
    assert true / np.linalg.norm(ONES) < 2 * 400 * 2**-23
    assert solver(LAPLACE, ONES.astype(np.float32), tolerance=400 * 2**-23)


@each_solver
def test_singular_and_consistent(solver: Solver) -> None:
    """Of equations that have many solutions, the one of least norm is found from zero."""
    singular = Diagonal([1.0, 0.0, 2.0])
    result = solver(singular, np.array([3.0, 0.0, 4.0]))
    assert result
    np.testing.assert_allclose(result.x, [3.0, 0.0, 2.0], rtol=1e-8 * 2)  # tolerance times condition on the range


@each_solver
def test_a_number_as_a_vector(solver: Solver) -> None:
    """Arrays without axes stay arrays."""
    X = Euclidean(())
    result = solver(3 * Identity(X), np.array(6.0))
    assert isinstance(result.x, np.ndarray)
    assert result.x.shape == ()
    assert result.x == pytest.approx(2.0, rel=1e-15)


@each_solver
def test_a_space_without_coordinates(solver: Solver) -> None:
    """The empty vector solves the equation without unknowns."""
    result = solver(Identity(Euclidean(0)), np.zeros(0))
    assert (result.converged, result.x.shape) == (True, (0,))


def test_the_zero_operator() -> None:
    """Least squares with A = 0: zero; conjugate gradients: a breakdown."""
    zero = Zero(Euclidean(3), Euclidean(3))
    for solver in (cgls, lsqr, lsmr, minres):
        result = solver(zero, B)
        assert (result.converged, result.reason, result.iterations) == (True, LEAST_SQUARES, 0)
        np.testing.assert_array_equal(result.x, np.zeros(3))
    assert cg(zero, B).reason.startswith("breakdown: inner(p, A p) = 0.0e+00")


# -- the loop, with recurrences that are made up -----------------------------------------------------------------------


def scripted(*starts: list[Step], iterations: int = 10) -> Result:
    """Run the loop over one recurrence after the other; each gives the steps of its list."""
    script = iter(starts)

    def steps(_: Any = None) -> Generator[Step, None, str]:
        yield from next(script)
        return "the script has ended"

    def below(bound: float) -> Callable[[Step, float], str | None]:
        return lambda step, _: RESIDUAL if step.residual <= bound else None

    settings = Settings("script", A, 0.0, 0.0, iterations, None, False)
    return run(steps(), 0.0, below(0.1), settings, below(0.1), steps)


def test_a_claim_is_confirmed() -> None:
    """The residual of a claim is replaced by the true one."""
    result = scripted([Step(1.0, 8.0), Step(2.0, 0.1)], [Step(2.0, 0.05)])
    assert (result.converged, result.x, result.residuals, result.iterations) == (True, 2.0, (8.0, 0.05), 1)


def test_a_claim_is_refuted_and_made_good() -> None:
    """Where the truth is half of what it was, the iteration goes on from there."""
    result = scripted([Step(1.0, 8.0), Step(2.0, 0.1)], [Step(2.0, 3.9), Step(3.0, 0.1)], [Step(3.0, 0.1)])
    assert (result.converged, result.x, result.residuals, result.iterations) == (True, 3.0, (8.0, 3.9, 0.1), 2)


def test_a_claim_is_refuted_and_little_was_gained() -> None:
    """Where the truth is hardly better than at the start, the iteration ends with what is better of the two."""
    result = scripted([Step(1.0, 8.0), Step(2.0, 0.1)], [Step(2.0, 4.1)])
    assert (result.reason, result.x, result.residuals) == (ROUNDING, 2.0, (8.0, 4.1))
    result = scripted([Step(1.0, 8.0), Step(2.0, 0.1)], [Step(2.0, 9.0)])
    assert (result.reason, result.x, result.residuals) == (ROUNDING, 1.0, (8.0, 8.0))


def test_least_squares_gain_by_their_normal_residuals() -> None:
    """The residual need not fall where that of the normal equations does."""
    first, second = [Step(1.0, 8.0, 8.0), Step(2.0, 0.1, 0.0)], [Step(2.0, 7.9, 3.9), Step(3.0, 0.1, 0.0)]
    assert scripted(first, second, [Step(3.0, 0.1, 0.0)])
    assert scripted(first, [Step(2.0, 7.9, 4.1)]).reason == ROUNDING


def test_a_number_that_is_none() -> None:
    """Where a residual, or that of the normal equations, or the bound on |A| is none, the last iterate stays."""
    for bad in (Step(2.0, math.nan), Step(2.0, math.inf), Step(2.0, 1.0, math.nan), Step(2.0, 1.0, 1.0, math.inf)):
        result = scripted([Step(1.0, 8.0), bad])
        assert (result.reason, result.x, result.residuals, result.iterations) == (NOT_FINITE, 1.0, (8.0,), 0)


def test_a_recurrence_that_ends() -> None:
    """Its reason is the result's; one that never begins leaves the start."""
    result = scripted([Step(1.0, 8.0), Step(2.0, 4.0)])
    assert (result.reason, result.x, result.residuals) == ("the script has ended", 2.0, (8.0, 4.0))
    nothing = scripted([])
    assert (nothing.reason, nothing.x, nothing.iterations) == ("the script has ended", 0.0, 0)
    assert "not converged after 0 iterations" in repr(nothing)


# -- which vectors -----------------------------------------------------------------------------------------------------


@each_solver
@pytest.mark.parametrize("x0", [None, np.array([1.0, 0.0, 2.0])])
@pytest.mark.parametrize("iterations", [0, 1, None])
def test_arguments_are_neither_changed_nor_aliased(solver: Solver, x0: Any, iterations: int | None) -> None:
    """Both b and x0 stay as they were, and share no memory with the result or with what a callback sees."""
    for b in (B.copy(), np.zeros(3)):
        start = None if x0 is None else x0.copy()
        before = b.copy()
        seen: list[np.ndarray] = []
        result = solver(A, b, x0=start, iterations=iterations, callback=lambda s, seen=seen: seen.append(s.x))
        np.testing.assert_array_equal(b, before)
        for x in (result.x, *seen):
            assert not np.shares_memory(x, b)
            if start is not None:
                np.testing.assert_array_equal(start, x0)
                assert not np.shares_memory(x, start)


@each_solver
@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_precision_stays(solver: Solver, dtype: str) -> None:
    """Iterates have the precision of the right-hand side, also in a space of another one."""
    space = Euclidean(3, complex if dtype.startswith("complex") else float)
    operator = Matrix(ENTRIES, space, space)
    kinds = []
    result = solver(operator, B.astype(dtype), tolerance=1e-5, callback=lambda state: kinds.append(state.x.dtype))
    assert {result.x.dtype, *kinds} == {np.dtype(dtype)}
    assert result
    # tolerance, and what is lost by rounding: a few eps, times the condition number
    np.testing.assert_allclose(result.x, SOLUTION, atol=1e-4 * CONDITION)


@each_solver
def test_integers_become_floating(solver: Solver) -> None:
    """A right-hand side and a start of integers are as good as others."""
    result = solver(A, np.array([1, -2, 4]), x0=np.array([1, 1, 1]))
    assert result.x.dtype == np.float64
    np.testing.assert_allclose(result.x, SOLUTION, atol=1e-7)


@each_solver
@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "array_api_strict"])
def test_any_array_library(solver: Solver, xp: Any) -> None:
    """Vectors stay in their library and precision; the iterates are NumPy's, to rounding."""
    for dtype in ("float32", "float64"):
        b = xp.asarray(B.astype(dtype))
        result = solver(A, b, iterations=2, x0=xp.asarray(np.ones(3, dtype)), tolerance=0.0)
        assert type(result.x) is type(b)
        assert result.x.dtype == b.dtype
        expected = solver(A, B.astype(dtype), iterations=2, x0=np.ones(3, dtype), tolerance=0.0)
        # Two steps, each of some ten operations whose roundings differ, amplified by the condition number.
        np.testing.assert_allclose(np.from_dlpack(result.x), expected.x, rtol=100 * CONDITION * np.finfo(dtype).eps)


@each_solver
def test_torch_from_zero(solver: Solver) -> None:
    """Without a start, the iterates still are in the library of the right-hand side."""
    result = solver(A, torch.tensor(B, dtype=torch.float32), tolerance=1e-5)
    assert result
    assert result.x.dtype == torch.float32
    np.testing.assert_allclose(result.x.numpy(), SOLUTION, atol=1e-4 * CONDITION)


@each_solver
def test_nested_products(solver: Solver) -> None:
    """Vectors may be tuples of tuples; each part is solved for, and has the structure of the domain."""
    X = Product(Euclidean(3), Product(Weighted(Euclidean(3), 2.0), Euclidean(3)))
    right = reweight(A, X.parts[1].parts[0], X.parts[1].parts[0])

    def apply(x: Any) -> Any:
        return A(x[0]), (right(x[1][0]), 2.0 * x[1][1])

    operator = FunctionOperator(X, X, apply, apply)  # the entries are symmetric, and the weight is a number
    result = solver(operator, (B, (2 * B, 4 * B)))
    assert result
    assert isinstance(result.x[1], tuple)
    expected = SOLUTION, 2 * SOLUTION, 2 * B
    for found, part in zip((result.x[0], *result.x[1]), expected, strict=True):
        # cond of the whole is that of A, whose eigenvalues lie around 2; the weight makes norms differ by sqrt(2)
        np.testing.assert_allclose(found, part, atol=1e-8 * 2 * CONDITION * 4 * np.linalg.norm(B))


# -- what solvers refuse -----------------------------------------------------------------------------------------------


@each_solver
def test_errors_name_operator_and_space(solver: Solver) -> None:
    """What does not fit is refused, and the message says who, where, what was found and what expected."""
    shape = r"Matrix\(3x3\).*expected an array that ends in shape \(3,\), found shape"
    with pytest.raises(SpaceError, match=rf"{shape} \(4,\)"):
        solver(A, np.ones(4))
    with pytest.raises(SpaceError, match=rf"{shape} \(2,\)"):
        solver(A, B, x0=np.ones(2))
    who = rf"{solver.__name__} with Matrix\(3x3\)"
    with pytest.raises(SpaceError, match=rf"{who}.*batch axes \(2,\), those of b, for x0, found batch axes \(\)"):
        solver(A, np.ones((2, 3)), x0=np.ones(3))
    with pytest.raises(SpaceError, match=r"one vector for x0, found batch axes \(1,\)"):
        solver(A, B, x0=np.ones((1, 3)))
    with pytest.raises(TypeError, match=rf"{solver.__name__}: expected A to be a LinearOperator, found an array"):
        solver(ENTRIES, B)


@each_solver
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("tolerance", -1e-3),
        ("tolerance", math.nan),
        ("tolerance", math.inf),
        ("tolerance", "small"),
        ("tolerance", None),
        ("absolute", -1.0),
        ("iterations", -1),
        ("iterations", 2.5),
    ],
)
def test_bad_settings(solver: Solver, keyword: str, value: Any) -> None:
    """A tolerance that is none, or a number of steps that is none, is refused by name."""
    with pytest.raises(LinopError, match=rf"{solver.__name__}: expected {keyword} to be .*found {value!r}"):
        solver(A, B, **{keyword: value})


@pytest.mark.parametrize("solver", [cg, minres], ids=["cg", "minres"])
def test_operators_between_two_spaces(solver: Solver) -> None:
    """A map from a space to another one is refused, also where these differ in their weights only."""
    X = Euclidean(3)
    operators: list[LinearOperator] = [Matrix(np.ones((2, 3))), reweight(A, X, Weighted(X, 2.0))]
    for operator in operators:
        with pytest.raises(SpaceError, match=rf"{solver.__name__} with .*: expected an operator from a space to"):
            solver(operator, operator.codomain.zeros())


# -- progress ----------------------------------------------------------------------------------------------------------


@each_solver
def test_progress_bar(solver: Solver, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar names the solver and counts the steps; without it, nothing is printed."""
    expected = solver(LAPLACE, ONES)
    assert capsys.readouterr() == ("", "")
    result = solver(LAPLACE, ONES, progress=True)
    shown = capsys.readouterr().err
    assert solver.__name__ in shown
    assert f"{result.iterations}/300" in shown
    np.testing.assert_array_equal(result.x, expected.x)


def test_progress_needs_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tqdm is missing, the message says so; without a bar it is not needed."""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert cg(A, B)
    with pytest.raises(ImportError, match="cg: progress=True needs tqdm"):
        cg(A, B, progress=True)
