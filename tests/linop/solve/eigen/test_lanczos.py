"""The method of Lanczos finds extreme eigenvalues as dense linear algebra does, on any space."""

from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import Diagonal, Euclidean, FunctionOperator, Identity, Matrix, Product, Space, SpaceError, Weighted, matrix
from linop.solve import lanczos
from linop.solve.eigen.lanczos import RESIDUAL, WHOLE_SPACE
from linop.solve.loop import CALLBACK, USED_UP

pytestmark = pytest.mark.serial

TOLERANCE = 1e-9
WHICH = {"largest": lambda w: -w, "smallest": lambda w: w, "magnitude": lambda w: -np.abs(w)}


@given(
    n=st.integers(1, 12),
    seed=st.integers(0, 2**16),
    which=st.sampled_from(list(WHICH)),
    dtype=st.sampled_from(["float64", "complex128"]),
    weighted=st.booleans(),
    data=st.data(),
)
def test_extreme_eigenvalues(n: int, seed: int, which: Any, dtype: str, weighted: bool, data: st.DataObject) -> None:
    """Eigenvalues are those of the matrix, in order; eigenvectors are orthonormal, with small residuals."""
    count = data.draw(st.integers(1, min(n, 4)))
    generator = np.random.default_rng(seed)
    weight = generator.uniform(0.5, 2, n) if weighted else np.ones(n)
    X: Space = Weighted(Euclidean(n, dtype), weight) if weighted else Euclidean(n, dtype)
    entries = generator.standard_normal((n, n))
    if dtype == "complex128":
        entries = entries + 1j * generator.standard_normal((n, n))
    symmetric = entries + entries.conj().T
    root = np.sqrt(weight)
    A = Matrix((symmetric * root / root[:, None]).astype(dtype), X, X)
    result = lanczos(A, count, which=which, seed=seed, tolerance=TOLERANCE)
    assert result, result
    assert result.reason == RESIDUAL
    eigenvalues = np.linalg.eigvalsh(symmetric)
    expected = eigenvalues[np.argsort(WHICH[which](eigenvalues), kind="stable")][:count]
    norm = np.abs(eigenvalues).max()
    # Some eigenvalue lies within the residual of a Ritz value; a hundred roundings for the dense one.
    np.testing.assert_allclose(result.values, expected, atol=(TOLERANCE + 1e-13) * norm)
    for i, (value, x) in enumerate(zip(result.values, result.x, strict=True)):
        assert X.norm(A(x) - value * x) <= (TOLERANCE + 1e-13) * norm
        for j, other in enumerate(result.x):
            assert X.inner(x, other) == pytest.approx(float(i == j), abs=1e-13)
    assert len(result.residuals) == result.iterations + 1 <= n


def test_few_steps_are_enough_in_a_large_space() -> None:
    """The ends of a spectrum of a thousand eigenvalues take a fraction of a thousand steps, with orthogonal vectors."""
    diagonal = np.concatenate([[-2.0], np.linspace(0, 1, 1000), [1.5, 3.0]])
    result = lanczos(Diagonal(diagonal), 2, tolerance=1e-8)
    assert result
    assert result.iterations < 60
    np.testing.assert_allclose(result.values, [3.0, 1.5], atol=3e-8)
    np.testing.assert_allclose(np.abs(result.x[0][-1]), 1.0, atol=1e-8)
    smallest = lanczos(Diagonal(diagonal), which="smallest")
    assert smallest.values[0] == pytest.approx(-2.0, abs=3e-8)


def test_eigenvalues_of_several_vectors() -> None:
    """Where the Krylov space ends before there are enough eigenvalues, another one is begun."""
    result = lanczos(Identity(Euclidean(5)), 3)
    assert result
    np.testing.assert_allclose(result.values, [1.0, 1.0, 1.0], rtol=1e-14)
    gram = [[x @ y for x in result.x] for y in result.x]
    np.testing.assert_allclose(gram, np.eye(3), atol=1e-14)
    double = lanczos(Diagonal([2.0, 2.0, 1.0]), 3)
    np.testing.assert_allclose(double.values, [2.0, 2.0, 1.0], rtol=1e-14)


def test_a_start_that_is_an_eigenvector() -> None:
    """The Krylov space is a line: its eigenvalue is found; where more are wanted, the others, too."""
    A, start = Diagonal([3.0, 1.0, 2.0]), np.array([0.0, 5.0, 0.0])
    one = lanczos(A, start=start)
    assert (one.values, one.iterations) == ((1.0,), 0)
    np.testing.assert_allclose(np.abs(one.x[0]), [0.0, 1.0, 0.0])
    assert start.tolist() == [0.0, 5.0, 0.0]
    np.testing.assert_allclose(lanczos(A, 3, start=start).values, [3.0, 2.0, 1.0], rtol=1e-14)


def test_why_it_stops() -> None:
    """Too few steps, a callback, a tolerance that rounding forbids: each has its reason, and the best so far."""
    A = Diagonal(np.linspace(0, 1, 50))
    few = lanczos(A, 2, iterations=3)
    assert (few.converged, few.reason, few.iterations, len(few.x)) == (False, USED_UP, 3, 2)
    states = []
    stopped = lanczos(A, 2, callback=lambda state: states.append(state) or state.iteration == 4)
    assert (stopped.converged, stopped.reason, stopped.iterations) == (False, CALLBACK, 4)
    assert [state.iteration for state in states] == [1, 2, 3, 4]
    assert [len(state.values) for state in states] == [2, 2, 2, 2]
    assert [state.residual for state in states] == list(stopped.residuals[1:])
    exhausted = lanczos(Diagonal([1.0, 2.0, 3.0]), tolerance=0.0)
    assert (exhausted.converged, exhausted.reason, exhausted.iterations) == (False, WHOLE_SPACE, 2)
    np.testing.assert_allclose(exhausted.values, [3.0], rtol=1e-14)
    single = lanczos(A, start=np.ones(50, np.float32), tolerance=1e-9)  # 1e-7 is the precision
    assert (single.converged, single.reason) == (False, WHOLE_SPACE)
    spoiled = lanczos(FunctionOperator(Euclidean(3), Euclidean(3), lambda x: np.inf * x, lambda y: np.inf * y))
    assert (spoiled.converged, spoiled.iterations, spoiled.x, spoiled.values) == (False, 0, (), ())
    assert "not converged after 0 iterations" in repr(spoiled)
    assert spoiled.reason.startswith("breakdown")


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "array_api_strict"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_array_library(xp: Any, dtype: str) -> None:
    """Vectors are in the library and precision of the start, or of the vector they should be like."""
    A = Diagonal(np.linspace(1, 2, 30))
    vector = xp.asarray(np.ones(30, dtype))
    for result in (lanczos(A, 2, like=vector, tolerance=1e-4), lanczos(A, 2, start=vector, tolerance=1e-4)):
        assert result
        for x in result.x:
            assert type(x) is type(vector)
            assert x.dtype == vector.dtype
        # Between them and the ends of the spectrum lies the residual, twice 1e-4.
        assert result.values[0] == pytest.approx(2.0, abs=4e-4)


def test_products_of_weighted_spaces() -> None:
    """Eigenvectors are tuples, orthonormal in the inner product of the product."""
    X = Product(Euclidean(2), Product(Weighted(Euclidean(2), [1.0, 4.0])))

    def apply(x: Any) -> Any:
        return np.array([1.0, 5.0]) * x[0], (np.array([2.0, 9.0]) * x[1][0],)

    result = lanczos(FunctionOperator(X, X, apply, apply), 3)
    assert result
    np.testing.assert_allclose(result.values, [9.0, 5.0, 2.0], rtol=1e-8)
    assert abs(result.x[0][1][0][1]) == pytest.approx(0.5, rel=1e-7)


def test_real_spaces_of_complex_arrays() -> None:
    """The map x -> conj(x) has the eigenvalues 1 and -1 in the real space."""
    X = Euclidean(3, complex, field="real")
    A = FunctionOperator(X, X, lambda x: x.conj(), lambda x: x.conj())
    assert lanczos(A, 6, which="smallest").values == pytest.approx((-1, -1, -1, 1, 1, 1), rel=1e-14)


def test_across_ranks() -> None:
    """On simulated ranks, eigenvalues are those of the matrix; all ranks have the same ones, and the same history."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=3), (14,), p=Split(0))
        H = HaloExchange(S, {0: (2, 1)})
        T = Weighted(S, 2.0)
        scale = S.from_global(np.linspace(1, 2, 14))
        D = FunctionOperator(S, S, lambda x: scale * x, lambda x: scale * x)
        A = D @ H.H @ H @ D
        from linop import reweight

        result = lanczos(reweight(A, T, T), 3, tolerance=TOLERANCE)
        return result.values, result.residuals, bool(result), matrix(A), [S.to_global(x) for x in result.x]

    answers = simulate(3, main)
    values, residuals, converged, dense, vectors = answers[0]
    assert converged
    expected = np.linalg.eigvalsh(dense)[::-1][:3]
    np.testing.assert_allclose(values, expected, atol=(TOLERANCE + 1e-13) * expected[0])
    np.testing.assert_allclose([[2 * x @ y for x in vectors] for y in vectors], np.eye(3), atol=1e-13)
    assert all(answer[:3] == (values, residuals, converged) for answer in answers)


def test_errors() -> None:
    """What cannot be is refused by name."""
    A = Diagonal([1.0, 2.0])
    with pytest.raises(ValueError, match="lanczos: expected count to be a whole number, one or more, found 0"):
        lanczos(A, 0)
    with pytest.raises(ValueError, match=r"lanczos with Diag.*expected from 1 to 2 eigenvalues, found 3"):
        lanczos(A, 3)
    with pytest.raises(ValueError, match=r"expected which to be 'largest' or .* found 'both'"):
        lanczos(A, which="both")  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match=r"lanczos with Matrix\(1x2\).*from a space to itself"):
        lanczos(Matrix([[1.0, 2.0]]))
    with pytest.raises(ValueError, match="not zero"):
        lanczos(A, start=np.zeros(2))
