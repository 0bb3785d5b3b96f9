"""The solvers of linop run on distributed operators unchanged: any partition gives the serial answer."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import (
    At,
    Copies,
    DistributedCorrelation,
    DistributedDiagonal,
    DistributedFFT,
    DistributedFiniteDifference,
    DistributedGradient,
    DistributedMatrix,
    DistributedRestriction,
    DistributedRFFT,
    DistributedSpace,
    Grid,
    Replicated,
    Split,
    World,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import (
    FFT,
    RFFT,
    Correlation,
    Diagonal,
    Euclidean,
    FiniteDifference,
    Gradient,
    Identity,
    Kron,
    LinearOperator,
    Matrix,
    Padding,
    Product,
    Restriction,
    Space,
    VStack,
    arrays,
    matrix,
)
from linop.solve import cg, cgls, lsqr

SHAPE = (7, 4)
KERNEL = np.arange(9.0).reshape(3, 3) - 4
ENTRIES = np.random.default_rng(0).integers(-3, 4, (5, 7)).astype(float)
WEIGHTS = np.random.default_rng(1).integers(1, 5, SHAPE).astype(float)


def product(X: DistributedSpace) -> LinearOperator:
    """Return the product with a matrix of five rows, split as its argument is."""
    roles = {name: Split(role.axis) if isinstance(role, Split) else role for name, role in X.roles.items()}
    return DistributedMatrix(ENTRIES, X, DistributedSpace(X.grid, (5, 4), X.dtype, **roles))


def periodic(V: Euclidean) -> LinearOperator:
    """Return a periodic correlation in one process."""
    P = Padding(V, 1, boundary="periodic")
    return Correlation(P.codomain, KERNEL) @ P


class Problem(NamedTuple):
    """An operator on tensors over a grid, and the same in one process."""

    distributed: Callable[[DistributedSpace], LinearOperator]
    serial: Callable[[Euclidean], LinearOperator]
    dtype: str = "float64"


PROBLEMS = {
    "diagonal": Problem(lambda X: DistributedDiagonal(WEIGHTS, X), lambda V: Diagonal(WEIGHTS, V)),
    "restriction": Problem(
        lambda X: DistributedRestriction(X, np.s_[1::2, ::-1]), lambda V: Restriction(V, np.s_[1::2, ::-1])
    ),
    "matrix": Problem(product, lambda V: Kron(Matrix(ENTRIES), Identity(Euclidean(V.shape[1:])))),
    "correlation": Problem(
        lambda X: DistributedCorrelation(X, KERNEL, stride=(2, 1), padding=1),
        lambda V: Correlation(V, KERNEL, stride=(2, 1), padding=1),
    ),
    "periodic correlation": Problem(
        lambda X: DistributedCorrelation(X, KERNEL, padding=1, boundary="periodic"), periodic
    ),
    "second difference": Problem(
        lambda X: DistributedFiniteDifference(X, 0, order=2, boundary="reflect", scheme="central"),
        lambda V: FiniteDifference(V, 0, order=2, boundary="reflect", scheme="central"),
    ),
    "gradient": Problem(DistributedGradient, Gradient),
    "regularised blur": Problem(
        lambda X: VStack(
            DistributedCorrelation(X, KERNEL, padding=1), 0.5 * DistributedFiniteDifference(X, 0, boundary="edge")
        ),
        lambda V: VStack(Correlation(V, KERNEL, padding=1), 0.5 * FiniteDifference(V, 0, boundary="edge")),
    ),
    "fft": Problem(DistributedFFT, FFT, "complex128"),
    "rfft": Problem(DistributedRFFT, RFFT),
}


@st.composite
def partitions(draw: st.DrawFn, dtype: str) -> tuple[int, Draft]:
    """Return how a tensor may lie on ranks: uneven and empty parts, on some of the ranks only, or replicated."""
    size = draw(world_sizes())
    layout = draw(drafts(draw(grids(size)), SHAPE, dtype, roles=(At, Split, Replicated), once=True))
    if Copies() in layout.roles.values():  # more grid axes than tensor axes
        layout.roles.update({name: Replicated() for name, role in layout.roles.items() if role == Copies()})
    return size, layout


def laid_out(space: Space, vector: Any) -> Any:
    """Return a vector in one process as one of a distributed space, part by part of a product."""
    if isinstance(space, Product):
        return tuple(laid_out(part, entry) for part, entry in zip(space.parts, vector, strict=True))
    assert isinstance(space, DistributedSpace)
    return space.from_global(vector)


@pytest.mark.parametrize("name", PROBLEMS)
@settings(max_examples=settings().max_examples // 3)  # each solves three times
@given(data=st.data())
def test_any_partition_gives_the_serial_answer(name: str, data: st.DataObject) -> None:
    """Damped least squares by cgls and lsqr, and the normal equations by cg.

    The damping is 1, so the smallest singular value is 1 at least: what stops at ``|A* r| <= tolerance |A| |r|`` or
    ``|r| <= tolerance |b|`` is at most ``tolerance |A| |b|`` away from the solution, and two such are twice that.
    """
    problem = PROBLEMS[name]
    size, layout = data.draw(partitions(problem.dtype))
    serial = problem.serial(Euclidean(SHAPE, problem.dtype))
    b = serial.codomain.normal(data.draw(st.integers(0, 99)))
    dense, tolerance = matrix(serial), 1e-9
    solution = np.linalg.solve(
        dense.conj().T @ dense + np.eye(dense.shape[1]), dense.conj().T @ serial.codomain.to_coordinates(b)
    ).reshape(SHAPE)
    allowed = 2 * tolerance * np.hypot(np.linalg.norm(dense, 2), 1) * serial.codomain.norm(b)

    def main(world: World) -> list[float]:
        X = layout.on(world)
        A = problem.distributed(X)
        y = laid_out(A.codomain, b)
        results = [
            cgls(A, y, damp=1.0, tolerance=tolerance),
            lsqr(A, y, damp=1.0, tolerance=tolerance),
            cg(A.H @ A + Identity(X), A.H(y), tolerance=tolerance),
        ]
        assert all(results), results
        return [float(np.linalg.norm(X.to_global(result.x) - solution)) for result in results]

    for errors in on_ranks(size, main):
        assert max(errors) <= allowed


@pytest.mark.parametrize("solver", [cgls, lsqr])
def test_a_callback_stops_all_ranks_alike(ranks: int, solver: Any) -> None:
    """Every rank sees the same residuals, to the last bit, and leaves the loop after the same step."""

    def main(world: World) -> tuple[list[float], int]:
        S = DistributedSpace(Grid(world, rows=ranks), (11,), rows=Split(0))
        A = DistributedCorrelation(S, [1.0, 4.0, 1.0], padding=1)
        told: list[float] = []
        result = solver(A, S.normal(0), callback=lambda state: told.append(state.residual) or len(told) == 3)
        return told, result.iterations

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)
    assert results[0][1] == 3


def test_deconvolution_of_a_signal_that_is_known(ranks: int) -> None:
    """A blurred signal is found again, on every number of ranks, from uneven parts of it."""
    signal = np.sin(np.arange(13.0)) + (np.arange(13) > 6)

    def main(world: World) -> np.ndarray:
        cuts = [0, *sorted(7 * k % 13 for k in range(1, ranks)), 13]
        S = DistributedSpace(Grid(world, rows=ranks), (13,), rows=Split(0, list(pairwise(cuts))))
        A = DistributedCorrelation(S, [1.0, 3.0, 1.0], padding=1)
        result = lsqr(A, A(S.from_global(signal)), tolerance=1e-12)
        assert result
        return S.to_global(arrays.copy(result.x))

    for found in on_ranks(ranks, main):
        np.testing.assert_allclose(found, signal, rtol=0, atol=1e-10)
