"""SciPy's and PyLops' operators are ours and ours are theirs; arrays of every library go through expressions."""

import doctest
import sys
from typing import Any

import array_api_strict
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, simulate
from linop import (
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    Matrix,
    Product,
    Space,
    SpaceError,
    Weighted,
    check_adjoint,
    matrix,
    reweight,
)
from linop.interop import ForeignOperator, from_pylops, from_scipy, to_pylops, to_scipy
from linop.interop import pylops as pylops_module
from linop.testing import DTYPES, Expression, assert_operator, expressions

pytestmark = pytest.mark.serial

SPACES = {
    "real": Euclidean((2, 3)),
    "complex": Euclidean((3, 2), complex),
    "real space of complex arrays": Euclidean(3, complex, field="real"),
    "product": Product(Euclidean((2, 2)), Product(Euclidean(()), Euclidean(1))),
    "product of real spaces of complex arrays": Product(Euclidean(2, complex, field="real"), Euclidean(2)),
    "product of complex spaces": Product(Euclidean(4, complex), Euclidean((1, 2), complex)),
    "weighted": Weighted(Euclidean(6), [1.0, 2.0, 4.0, 8.0, 16.0, 0.5]),
}
"""Spaces of six coordinates."""

spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
EPS = float(np.finfo(np.float64).eps)


def integers(shape: tuple[int, ...], space: Space, seed: int = 0, largest: int = 3) -> np.ndarray[Any, Any]:
    """Return an array of small integers of the dtype of a space's coordinates."""
    generator = np.random.default_rng(seed)
    entries = generator.integers(-largest, largest + 1, shape)
    if space.field == "complex":
        entries = entries + 1j * generator.integers(-largest, largest + 1, shape)
    return entries.astype(space.coordinate_dtype)


@st.composite
def trees(draw: st.DrawFn, dtypes: tuple[str, ...] = DTYPES) -> Expression:
    dtype = draw(st.sampled_from(dtypes))
    shapes = st.sampled_from([Euclidean(shape, dtype) for shape in [(), (3,), (2, 2)]])
    return draw(expressions(draw(shapes), draw(shapes)))


# -- ours as SciPy's ---------------------------------------------------------------------------------------------------


@given(trees())
def test_to_scipy_is_the_matrix(tree: Expression) -> None:
    """Every expression acts on columns as its matrix does, and its adjoint as the conjugate transpose."""
    A, dense = tree
    L = to_scipy(A)
    rows, columns = dense.shape
    assert (L.shape, L.dtype) == (dense.shape, dense.dtype)
    np.testing.assert_array_equal(L @ np.eye(columns, dtype=A.domain.dtype), dense)
    np.testing.assert_array_equal(L.H @ np.eye(rows, dtype=A.domain.dtype), dense.conj().T)
    x, y = A.domain.to_coordinates(A.domain.integers(0)), A.codomain.to_coordinates(A.codomain.integers(1))
    np.testing.assert_array_equal(L.matvec(x), dense @ x)
    np.testing.assert_array_equal(L.matvec(x[:, None]), dense @ x[:, None])
    np.testing.assert_array_equal(L.rmatvec(y), dense.conj().T @ y)
    np.testing.assert_array_equal(L.matmat(np.zeros((columns, 0))), np.zeros((rows, 0)))
    assert L.matvec(x).dtype == dense.dtype


@spaces
def test_to_scipy_on_every_kind_of_space(space: Space) -> None:
    """Coordinates are those of the space: real ones of a real space of complex arrays, part after part of a product."""
    dense = integers((6, 6), space)
    L = to_scipy(from_scipy(scipy.sparse.csr_array(dense), space, exact=True) + Identity(space))
    assert L.dtype == space.coordinate_dtype
    np.testing.assert_array_equal(L @ np.eye(6), dense + np.eye(6))
    np.testing.assert_array_equal(L.H @ np.eye(6), (dense + np.eye(6)).conj().T)


def test_to_scipy_knows_no_weights() -> None:
    """SciPy's adjoint is the dual; that of the weighted spaces is another operator."""
    entries = np.array([[0.0, 1.0], [0.0, 0.0]])
    X = Weighted(Euclidean(2), [1.0, 4.0])
    A = reweight(Matrix(entries), X, X)
    np.testing.assert_array_equal(to_scipy(A).H @ np.eye(2), entries.T)
    np.testing.assert_array_equal(to_scipy(A.H) @ np.eye(2), [[0, 0], [0.25, 0]])


def test_to_scipy_maps_a_matrix_in_one_call() -> None:
    """Matmat and rmatmat apply an operator once, to a batch; of a real one to a complex matrix, too."""
    calls = []

    def double(x: np.ndarray) -> np.ndarray:
        calls.append(x.shape)
        return 2 * x

    X = Euclidean((2, 2))
    L = to_scipy(FunctionOperator(X, X, double, double, batched=True))
    L.matmat(np.ones((4, 5)))
    L.rmatmat(np.ones((4, 3)))
    L.matvec(np.ones(4))
    np.testing.assert_array_equal(L.matmat(np.full((4, 5), 1 + 2j)), np.full((4, 5), 2 + 4j))
    assert calls == [(5, 2, 2), (3, 2, 2), (2, 2), (2, 5, 2, 2)]


@pytest.mark.parametrize(
    ("dtype", "given_dtype", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("float32", "int8", "float32"),
        ("float64", "int64", "float64"),
        ("float64", "complex64", "complex128"),
        ("complex64", "float32", "complex64"),
        ("complex128", "float32", "complex128"),
    ],
)
def test_to_scipy_promotes_as_a_matrix_does(dtype: str, given_dtype: str, expected: str) -> None:
    """The result has the dtype that NumPy's product with a matrix of the operator's dtype would have."""
    entries = np.array([[1, 2], [3, 4]], dtype)
    x = np.array([1, -1], given_dtype) * (1j if given_dtype.startswith("complex") else 1)
    x = x.astype(given_dtype)
    found = to_scipy(Matrix(entries)).matvec(x)
    assert found.dtype == expected == (entries @ x).dtype
    np.testing.assert_array_equal(found, entries @ x)


def test_to_scipy_between_two_precisions() -> None:
    """The dtype is the finer one, and so is that of results."""
    L = to_scipy(from_scipy(np.eye(2), Euclidean(2, np.float32), Euclidean(2)) @ Identity(Euclidean(2, np.float32)))
    assert L.dtype == L.matvec(np.ones(2, np.float32)).dtype == np.float64


# Of I + N* N the smallest eigenvalue is at least one; of 10 I + N with 6 x 6 entries of modulus at most sqrt(2), the
# smallest singular value is at least 10 - 6 sqrt(2) > 1. So an error is no longer than its residual.


@spaces
def test_cg_and_gmres(space: Space) -> None:
    """SciPy's solvers of linear systems find the solution, on every kind of space."""
    N = integers((6, 6), space, largest=1)
    b = integers((6,), space, seed=1)
    rtol = 1e-10
    for solve, dense in [
        (scipy.sparse.linalg.cg, np.eye(6) + N.conj().T @ N),
        (scipy.sparse.linalg.gmres, 10 * np.eye(6) + N),
    ]:
        A = from_scipy(dense, space)
        x, info = solve(to_scipy(A), b, rtol=rtol)
        assert info == 0
        allowed = rtol * np.linalg.norm(b) + 100 * EPS * np.linalg.cond(dense) * np.linalg.norm(b)
        assert np.linalg.norm(x - np.linalg.solve(dense, b)) <= allowed
        assert space.norm(A(space.from_coordinates(x))) > 0


@spaces
@pytest.mark.parametrize("solve", [scipy.sparse.linalg.lsqr, scipy.sparse.linalg.lsmr])
def test_least_squares(space: Space, solve: Any) -> None:
    """SciPy's solvers of least-squares problems find the solution without weights, on every kind of space.

    They stop when |A* r| <= atol |A| |r|, or |r| <= btol |b| + atol |A| |x|; with a smallest singular value of at least
    one, the error is at most that large. Their estimate of |A| grows to the Frobenius norm times the root of the number
    of iterations, at most twice the six coordinates here.
    """
    Y = Product(space, space)
    dense = np.concatenate([10 * np.eye(6) + integers((6, 6), space, largest=1), integers((6, 6), space, seed=2)])
    b = integers((12,), space, seed=1)
    tolerance = 1e-12
    expected = np.linalg.lstsq(dense, b, rcond=None)[0]
    x = solve(to_scipy(from_scipy(dense, space, Y)), b, atol=tolerance, btol=tolerance)[0]
    norm = np.sqrt(12) * np.linalg.norm(dense)
    allowed = tolerance * (norm * np.linalg.norm(b) + np.linalg.norm(b) + norm * np.linalg.norm(expected))
    assert np.linalg.norm(x - expected) <= allowed


@spaces
def test_eigenvalues_and_singular_values(space: Space) -> None:
    """ARPACK finds the largest eigenvalues and singular values, to a few hundred roundings of the norm."""
    N = 10 * np.eye(6) + integers((6, 6), space, largest=1)
    S = N + N.conj().T
    v0 = integers((6,), space, seed=3)
    found = scipy.sparse.linalg.eigsh(to_scipy(from_scipy(S, space)), k=2, v0=v0, return_eigenvectors=False)
    assert np.abs(np.sort(found) - np.linalg.eigvalsh(S)[-2:]).max() <= 200 * EPS * np.linalg.norm(S)
    singular = np.linalg.svd(N, compute_uv=False)
    found = scipy.sparse.linalg.svds(to_scipy(from_scipy(N, space)), k=2, v0=v0, return_singular_vectors=False)
    # from the eigenvalues of N* N: an error in s^2 is one of half its size over s in s, and s >= 1
    assert np.abs(np.sort(found)[::-1] - singular[:2]).max() <= 200 * EPS * np.linalg.norm(N) ** 2


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_scipy_on_spaces_over_processes(ranks: int) -> None:
    """SciPy's solver sees all coordinates on every rank and finds the same solution; its operators act collectively."""

    def main(world: Any) -> list[Any]:
        S = DistributedSpace(Grid(world, rows=world.size), (7,), rows=Split(0))
        H = HaloExchange(S, {0: (1, 1)})
        A = H.H @ H + Identity(S)
        L = to_scipy(A)
        dense = matrix(A)
        np.testing.assert_array_equal(L @ np.eye(7), dense)
        b = np.arange(7.0)
        x, info = scipy.sparse.linalg.cg(L, b, rtol=1e-12)
        assert info == 0
        # the smallest eigenvalue is at least one
        assert np.linalg.norm(x - np.linalg.solve(dense, b)) <= 2e-12 * np.linalg.norm(b)
        cumulated = from_scipy(np.tri(7), S, exact=True)
        assert check_adjoint(cumulated)
        np.testing.assert_array_equal(S.to_global(cumulated(S.from_global(b))), np.cumsum(b))
        return list(x)

    results = simulate(ranks, main)
    assert all(result == results[0] for result in results)


# -- SciPy's as ours ---------------------------------------------------------------------------------------------------


def as_array(dense: np.ndarray) -> Any:
    return dense


def as_sparse(dense: np.ndarray) -> Any:
    return scipy.sparse.coo_array(dense)


def as_operator(dense: np.ndarray) -> Any:
    return scipy.sparse.linalg.aslinearoperator(dense)


def as_functions(dense: np.ndarray) -> Any:
    return scipy.sparse.linalg.LinearOperator(
        dense.shape, matvec=lambda x: dense @ x, rmatvec=lambda y: dense.conj().T @ y, dtype=dense.dtype
    )


def as_product(dense: np.ndarray) -> Any:
    return (
        0.5
        * (as_functions(dense).H.H + as_operator(dense))
        @ scipy.sparse.linalg.aslinearoperator(scipy.sparse.eye_array(dense.shape[1]))
    )


KINDS = [as_array, as_sparse, as_operator, as_functions, as_product]


@pytest.mark.parametrize("wrap", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_from_scipy_is_right_in_every_respect(wrap: Any, dtype: str) -> None:
    """Whatever SciPy takes for an operator is one of ours: matrix, adjoint, batches, libraries, precision, purity."""
    X, Y = Euclidean((2, 3), dtype), Euclidean(4, dtype)
    dense = integers((4, 6), X)
    assert_operator(from_scipy(wrap(dense), X, Y, exact=True), dense)


@spaces
def test_from_scipy_on_every_kind_of_space(space: Space) -> None:
    """Its matrix is the one of coordinates."""
    dense = integers((6, 6), space)
    A = from_scipy(dense, space, exact=True)
    np.testing.assert_array_equal(matrix(A), dense)
    assert (A.domain, A.codomain) == (space, space)
    report = check_adjoint(A)
    assert report.passed, str(report)
    assert (report.error, report.tolerance) == (0, 0)


@given(trees())
def test_there_and_back(tree: Expression) -> None:
    """Of what was ours, the original comes back; between other spaces, an operator with the same matrix."""
    A = tree.operator
    assert from_scipy(to_scipy(A)) is A
    assert from_scipy(to_scipy(A), A.domain, A.codomain) is A
    Xw, Yw = Weighted(A.domain, 2.0), Weighted(A.codomain, 4.0)
    B = from_scipy(to_scipy(A), Xw, Yw)
    np.testing.assert_array_equal(matrix(B), tree.matrix)
    np.testing.assert_array_equal(matrix(B.H), 2 * tree.matrix.conj().T)


def test_from_scipy_chooses_spaces() -> None:
    """Without spaces, Euclidean ones of the dtype; where one is given, the other is the same if it fits."""
    wide = np.ones((2, 3), np.float32)
    assert from_scipy(wide).domain == Euclidean(3, np.float32)
    assert from_scipy(wide).codomain == Euclidean(2, np.float32)
    assert from_scipy(np.ones((2, 3), int)).domain == Euclidean(3)
    assert from_scipy(1j * wide).codomain == Euclidean(2, np.complex64)
    X = Weighted(Euclidean((3, 1)), 2.0)
    assert from_scipy(wide, X).codomain == Euclidean(2)
    assert from_scipy(wide.T, codomain=X).domain == Euclidean(2)
    assert from_scipy(np.ones((3, 3)), X).codomain == X
    assert from_scipy(np.ones((3, 3)), codomain=X).domain == X
    realified = Euclidean(3, complex, field="real")
    assert from_scipy(np.ones((2, 6)), realified).codomain == Euclidean(2)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ((np.ones((2, 3)), Euclidean(2)), SpaceError, r"shape \(2, 2\).*found shape \(2, 3\)"),
        ((np.ones((2, 3)), Euclidean(3), Euclidean(3)), SpaceError, r"ndarray\(2x3\).*shape \(3, 3\)"),
        ((np.ones((2, 3), complex), Euclidean(3)), SpaceError, "expected a real operator.*complex128"),
        ((np.ones((2, 3)), Euclidean(3), Euclidean(2, complex)), SpaceError, "fields"),
        ((np.ones((2, 3)), 3), TypeError, "expected domain to be a Space, or None, found 3"),
        (([[1.0]],), TypeError, "from_scipy"),
        ((np.ones((2, 2, 2)),), TypeError, "from_scipy"),
        ((Identity(Euclidean(2)),), TypeError, "from_scipy"),
    ],
)
def test_what_from_scipy_refuses(arguments: Any, error: type[Exception], told: str) -> None:
    """Operators that do not fit the spaces, and what is no operator, are refused by name."""
    with pytest.raises(error, match=told):
        from_scipy(*arguments)


def test_from_scipy_maps_a_batch_in_one_call() -> None:
    """A vector goes to matvec, a batch to matmat as columns; a real operator gets complex vectors in two parts.

    Half precision and integers come in the precision of the space.
    """
    calls: list[Any] = []

    def times_two(x: np.ndarray) -> np.ndarray:
        calls.append((x.shape, x.dtype))
        return 2 * x

    L = scipy.sparse.linalg.LinearOperator(
        (6, 6), matvec=times_two, rmatvec=times_two, matmat=times_two, rmatmat=times_two, dtype=float
    )
    real, cplx = from_scipy(L, Euclidean((2, 3))), from_scipy(L, Euclidean((2, 3), complex))
    assert real(np.ones((4, 5, 2, 3))).shape == (4, 5, 2, 3)
    real(np.ones((2, 3)))
    real.H(np.ones((7, 2, 3)))
    np.testing.assert_array_equal(cplx(np.full((3, 2, 3), 1 + 2j)), np.full((3, 2, 3), 2 + 4j))
    assert real(np.ones((0, 2, 3))).shape == (0, 2, 3)
    assert calls == [((6, 20), float), ((6,), float), ((6, 7), float), ((6, 6), float)]
    calls.clear()
    for given_dtype in (np.float32, np.float16, int):
        real(np.ones((2, 3), given_dtype))
    assert [dtype for _, dtype in calls] == [np.float32, np.float64, np.float64]


@pytest.mark.parametrize("batch", [(), (2,)])
def test_operators_without_an_adjoint(batch: tuple[int, ...]) -> None:
    """Where there is no rmatvec, the map works, and the adjoint is an error that names the operator."""
    L = scipy.sparse.linalg.LinearOperator((2, 2), matvec=lambda x: 2 * x, dtype=float)
    A = from_scipy(L, name="Twice")
    np.testing.assert_array_equal(A(np.ones((*batch, 2))), np.full((*batch, 2), 2))
    with pytest.raises(NotImplementedError, match=r"Twice : .* has no adjoint.*CustomLinearOperator.*no rmatvec"):
        A.H(np.ones((*batch, 2)))


def test_errors_of_an_adjoint_are_not_hidden() -> None:
    """A TypeError inside somebody's rmatvec is theirs, not a missing adjoint."""

    def broken(y: np.ndarray) -> np.ndarray:
        raise TypeError("somebody's own")

    L = scipy.sparse.linalg.LinearOperator((2, 2), matvec=lambda x: 2 * x, rmatvec=broken, dtype=float)
    with pytest.raises(TypeError, match="somebody's own"):
        from_scipy(L).H(np.ones(2))


def test_a_wrong_adjoint_is_found() -> None:
    """check_adjoint does not take another library's word for it."""
    wrong = scipy.sparse.linalg.LinearOperator(
        (3, 3), matvec=lambda x: np.cumsum(x, axis=0), rmatvec=lambda y: np.cumsum(y, axis=0), dtype=float
    )
    report = check_adjoint(from_scipy(wrong, name="CumulativeSum"))
    assert not report
    assert "CumulativeSum" in str(report)


def test_operators_that_work_in_place_or_return_their_argument() -> None:
    """The argument is neither changed nor aliased, whatever the other library does with it."""

    def in_place(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x

    def nothing(x: np.ndarray) -> np.ndarray:
        return x

    for function, factor in [(in_place, 2), (nothing, 1)]:
        L = scipy.sparse.linalg.LinearOperator(
            (4, 4), matvec=function, rmatvec=function, matmat=function, rmatmat=function, dtype=float
        )
        assert_operator(from_scipy(L, Euclidean((2, 2)), exact=True), factor * np.eye(4))


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (np.ones((3, 2)), r"shape \(2, 2\).*found shape \(3, 2\)"),
        (np.ones((2, 2), complex), "expected real numbers.*complex128"),
        (np.full((2, 2), "a"), "<U1"),
    ],
)
def test_results_that_do_not_belong(result: np.ndarray, told: str) -> None:
    """Results of another shape or kind are errors that name the operator."""
    L = scipy.sparse.linalg.LinearOperator((2, 2), matvec=lambda x: x, matmat=lambda _: result, dtype=float)
    with pytest.raises(SpaceError, match=f"Odd.*{told}"):
        from_scipy(L, name="Odd")(np.ones((2, 2)))


def test_equality_and_printing() -> None:
    """Two wrappings of one operator between the same spaces are equal; expressions print what was wrapped."""
    L = scipy.sparse.linalg.aslinearoperator(np.eye(2))
    assert from_scipy(L) == from_scipy(L)
    assert hash(from_scipy(L)) == hash(from_scipy(L))
    assert from_scipy(L) != from_scipy(L, Euclidean((2, 1)))
    assert from_scipy(L) != from_scipy(scipy.sparse.linalg.aslinearoperator(np.eye(2)))
    A = from_scipy(scipy.sparse.csr_array(np.ones((2, 3))))
    assert str(0.5 * A.H @ A) == "0.5 * csr_array(2x3).H @ csr_array(2x3)"
    assert isinstance(A, ForeignOperator)
    assert A.roundings == Matrix(np.ones((2, 3))).roundings


def test_without_coordinates() -> None:
    """Empty spaces have empty matrices."""
    A = from_scipy(np.ones((0, 3)), Euclidean(3), Euclidean((2, 0)))
    assert A(np.ones((4, 3))).shape == (4, 2, 0)
    assert A.H(np.ones((4, 2, 0))).tolist() == [[0.0] * 3] * 4
    assert (to_scipy(A) @ np.eye(3)).shape == (0, 3)


# -- arrays of every library -------------------------------------------------------------------------------------------

LIBRARIES = {
    "numpy": (np, ("float16", "float32", "float64", "complex64", "complex128")),
    "torch": (torch, ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")),
    "array_api_strict": (array_api_strict, ("float32", "float64", "complex64", "complex128")),
}
EVERY = [(library, dtype) for library, (_, dtypes) in LIBRARIES.items() for dtype in dtypes]


def to_double(x: Any) -> np.ndarray[Any, Any]:
    """Return the entries of an array in double precision."""
    if isinstance(x, torch.Tensor):
        return x.to(torch.complex128 if x.is_complex() else torch.float64).numpy()
    return np.asarray(np.from_dlpack(x)).astype(np.complex128 if "complex" in str(x.dtype) else np.float64)


@pytest.mark.parametrize("foreign", [False, True], ids=["ours", "with one of SciPy's"])
@pytest.mark.parametrize(("library", "dtype"), EVERY)
@given(data=st.data(), batch=st.sampled_from([(), (2,), (2, 1)]))
def test_arrays_of_every_library(library: str, dtype: str, foreign: bool, data: Any, batch: tuple[int, ...]) -> None:
    """An expression gives arrays of the library and dtype of its argument, with the values that they should have.

    With r roundings behind an entry, each of the relative size u = eps / 2, and results that are no longer than g |x|
    when nothing cancels, the error is at most ((1 + u)^r - 1) g |x|.
    """
    xp = LIBRARIES[library][0]
    A, dense = data.draw(trees(("complex128",) if dtype.startswith("complex") else ("float64",)))
    assert A.gain is not None
    gain, roundings = A.gain, A.roundings
    if foreign:
        A, gain = A + from_scipy(dense, A.domain, A.codomain), gain + float(np.linalg.norm(dense))
        dense, roundings = 2 * dense, roundings + 2 * max(dense.shape) + 1
    x = A.domain.integers(0, batch)
    size = gain * float(np.linalg.norm(x))
    assume(size <= 3e4)  # the largest number of float16 is 6.5e4
    given = xp.astype(xp.asarray(x), getattr(xp, dtype)) if xp is not torch else torch.asarray(x).to(getattr(xp, dtype))
    found = A(given)
    assert type(found) is type(given)
    assert found.dtype == given.dtype
    expected = A.domain.to_coordinates(x) @ dense.T
    error = np.linalg.norm(A.codomain.to_coordinates(to_double(found)) - expected)
    u = float(xp.finfo(given.dtype).eps) / 2
    assert error <= np.expm1(roundings * u) * size


@pytest.mark.parametrize("library", LIBRARIES)
def test_integer_arrays_go_through_foreign_operators(library: str) -> None:
    """Integers are vectors of a real space; the result has the space's precision, not theirs."""
    xp = LIBRARIES[library][0]
    found = from_scipy(np.array([[0.5, 0.25]]))(xp.asarray([1, 1]))
    assert found.dtype == xp.float64
    assert to_double(found).tolist() == [0.75]


# -- PyLops ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pylops() -> Any:
    return pytest.importorskip("pylops")


RIGHT = {
    "FirstDerivative": lambda p: p.FirstDerivative((5, 4), axis=0, kind="centered", order=5, edge=True, sampling=0.5),
    "Laplacian": lambda p: p.Laplacian((4, 5), weights=(1, 2), edge=True),
    "CausalIntegration": lambda p: p.CausalIntegration((5, 3), axis=0, kind="trapezoidal", removefirst=True),
    "Convolve1D": lambda p: p.signalprocessing.Convolve1D((7, 3), np.array([1.0, 2.0, -1.0]), offset=2, axis=0),
    "Convolve2D, complex": lambda p: p.signalprocessing.Convolve2D(
        (5, 6), np.array([[1, 2j], [3, -1j]]), offset=(0, 1), dtype="complex128"
    ),
    "FFT": lambda p: p.signalprocessing.FFT((3, 6), axis=1, nfft=8, ifftshift_before=True),
    "FFT2D": lambda p: p.signalprocessing.FFT2D((4, 5), norm="none", engine="numpy"),
    "DCT": lambda p: p.signalprocessing.DCT((4, 5), type=3, axes=0),
    "Restriction": lambda p: p.Restriction((5, 3), [0, 2, 2, 3], axis=0),
    "Interp": lambda p: p.signalprocessing.Interp((8, 2), np.array([0.5, 2.25, 6.0]), axis=0, kind="linear")[0],
    "Shift": lambda p: p.signalprocessing.Shift((8, 2), 1.5, axis=0),
    "Transpose": lambda p: p.Transpose((2, 3, 4), (2, 0, 1)),
    "MatrixMult": lambda p: p.MatrixMult(np.arange(6.0).reshape(2, 3) * (1 + 1j), otherdims=(2,), dtype="complex128"),
    "VStack": lambda p: p.VStack([p.FirstDerivative(5), 2 * p.Identity(5) - p.Flip(5)]),
    "Kronecker": lambda p: p.Kronecker(p.FirstDerivative(3), p.Flip(4)),
    "conj": lambda p: p.MatrixMult(np.arange(6.0).reshape(2, 3) * (1 + 1j), dtype="complex128").conj(),
}
"""Operators of PyLops' whose adjoints are right."""


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT)
def test_from_pylops_is_right_in_every_respect(pylops: Any, make: Any) -> None:
    """PyLops' operators are ours, between spaces of their shapes: matrix, adjoint, batches, libraries, precision."""
    P = make(pylops)
    A = from_pylops(P)
    assert (A.domain.shape, A.codomain.shape) == (P.dims, P.dimsd)
    if P.clinear:
        assert_operator(A, P.todense())
    else:
        assert A.domain.field == A.codomain.field == "real"
        assert_operator(A, matrix(A))


WRONG = {
    "complex filters are not conjugated": lambda p: p.signalprocessing.Convolve1D(
        8, np.array([1, 2j, 3]), offset=1, dtype="complex128"
    ),
    "SciPy's engine is scaled twice": lambda p: p.signalprocessing.FFT2D((4, 5), norm="none", engine="scipy"),
    "two names of one index": lambda p: p.Restriction(5, [4, 0, -1]),
    "i commutes with all": lambda p: 1j * p.Real(4),
}
"""Operators whose adjoints are wrong in PyLops 2.8.0, found with `check_adjoint`."""


@pytest.mark.parametrize("make", [*WRONG.values(), *RIGHT.values()], ids=[*WRONG, *RIGHT])
def test_check_adjoint_of_theirs(pylops: Any, make: Any) -> None:
    """check_adjoint says of PyLops' operators what their own dot test says, right or wrong."""
    P = make(pylops)
    parts = 3 if np.dtype(P.dtype).kind == "c" else 0
    rows, columns = P.shape
    verdict = pylops.utils.dottest(P, rows, columns, complexflag=parts, raiseerror=False, rtol=1e-9)
    assert check_adjoint(from_pylops(P)).passed == verdict
    if pylops.__version__ == "2.8.0":
        assert verdict == (make in RIGHT.values())


def test_fourier_transform_of_real_signals(pylops: Any) -> None:
    """It is linear over the real numbers only: an isometry from a real space to a real space of complex arrays."""
    for n in (6, 7):
        P = pylops.signalprocessing.FFT(n, real=True)
        A = from_pylops(P, Euclidean(n))
        assert A.codomain == Euclidean(n // 2 + 1, complex, field="real")
        assert_operator(A, matrix(A))
        x = A.domain.normal(0)
        np.testing.assert_array_equal(A(x), P @ x)
        # two transforms of n numbers: each has an error of a few roundings for each of log2(n) < 3 stages
        assert np.abs(matrix(A.H @ A) - np.eye(n)).max() <= 30 * EPS
        whole = from_pylops(P)
        assert whole.domain == Euclidean(n, complex, field="real")
        assert check_adjoint(whole)
        with pytest.raises(SpaceError, match="not linear over the complex numbers"):
            from_pylops(P, Euclidean(n, complex))


def test_a_complex_operator_on_real_arrays(pylops: Any) -> None:
    """Restricted to real arrays, it has the real part of its adjoint for an adjoint."""
    F = pylops.signalprocessing.FFT(4)
    A = from_pylops(F, Euclidean(4))
    assert A.codomain == Euclidean(4, complex, field="real")
    assert check_adjoint(A)
    y = A.codomain.normal(0)
    np.testing.assert_array_equal(A.dual(y), (F.H @ y).real)
    with pytest.raises(SpaceError, match="expected a real operator"):
        from_pylops(F, Euclidean(4), Euclidean(4))


def test_results_that_are_real_stay_complex_arrays(pylops: Any) -> None:
    """The real part of complex arrays is a complex array here, of the argument's precision."""
    A = from_pylops(pylops.Real(3))
    found = A(np.full(3, 1 + 2j, np.complex64))
    assert found.dtype == np.complex64
    assert found.tolist() == [1, 1, 1]


def test_pylops_among_ours(pylops: Any) -> None:
    """An operator of theirs is a factor as any other, on weighted spaces too."""
    P = pylops.FirstDerivative((4, 3), axis=0, kind="forward")
    for X in (Euclidean((4, 3)), Weighted(Euclidean((4, 3)), np.arange(1.0, 13.0).reshape(4, 3))):
        D = from_pylops(P, X)
        assert D.codomain == X
        A = D.H @ Diagonal(np.arange(12.0).reshape(4, 3), X) @ D
        assert check_adjoint(A)
        x, y = X.normal(0), X.normal(1)
        # three products, a difference of two entries twice, and two sums of 12 numbers
        allowed = 40 * EPS * X.norm(A(x)) * X.norm(y)
        assert abs(X.inner(A(x), y) - X.inner(x, A.H(y))) <= allowed
        assert "Diagonal @ FirstDerivative(12x12)" in str(A)


@given(trees())
def test_to_pylops_is_the_matrix(tree: Expression) -> None:
    """Every expression is an operator of PyLops' with the same matrix; what was ours comes back."""
    pylops = pytest.importorskip("pylops")
    A, dense = tree
    P = to_pylops(A)
    assert isinstance(P, pylops.LinearOperator)
    assert (P.dims, P.dimsd, P.clinear) == (A.domain.shape or (1,), A.codomain.shape or (1,), True)
    np.testing.assert_array_equal(P.matmat(np.eye(P.shape[1], dtype=dense.dtype)), dense)
    np.testing.assert_array_equal(P.rmatmat(np.eye(P.shape[0], dtype=dense.dtype)), dense.conj().T)
    x = A.domain.integers(0)
    if A.domain.shape:
        np.testing.assert_array_equal((2 * P.H @ P) @ x, A.H(2 * A(x)))
    np.testing.assert_array_equal(P.rmatvec(P.matvec(x.ravel())), A.H(A(x)).ravel())
    assert from_pylops(P) is A
    assert from_pylops(P, A.domain, A.codomain) is A
    Xw = Weighted(A.domain, 2.0)
    np.testing.assert_array_equal(matrix(from_pylops(P, Xw, A.codomain)), dense)
    weighted = to_pylops(reweight(A, Xw, A.codomain))
    np.testing.assert_array_equal(weighted.rmatmat(np.eye(P.shape[0], dtype=dense.dtype)), dense.conj().T)


def test_to_pylops_of_real_linear_operators(pylops: Any) -> None:
    """Between real spaces of complex arrays, PyLops maps the complex entries; its dot test passes."""
    X = Euclidean(5, complex, field="real")
    conjugation = FunctionOperator(X, X, np.conj, np.conj, batched=True)
    P = to_pylops((1j * Identity(X)) @ conjugation)
    assert (P.shape, P.clinear, P.dtype) == ((5, 5), False, complex)
    x = X.normal(0)
    np.testing.assert_array_equal(P @ x, 1j * x.conj())
    assert pylops.utils.dottest(P, 5, 5, complexflag=3)
    rfft = from_pylops(pylops.signalprocessing.FFT(6, real=True), Euclidean(6))
    P = to_pylops(rfft @ Diagonal(np.arange(6.0)))
    assert (P.shape, P.clinear) == ((4, 6), False)
    assert pylops.utils.dottest(P, 4, 6, complexflag=2)
    np.testing.assert_array_equal(P @ (np.ones(6) + 1j), P @ np.ones(6))


def test_solvers_of_pylops(pylops: Any) -> None:
    """PyLops' solver finds the least-squares solution for one of ours; products go as coordinates."""
    X, Y = Product(Euclidean(2), Euclidean((1, 2))), Euclidean(6)
    dense = np.vstack([10 * np.eye(4), np.ones((2, 4))])  # of condition below two
    P = to_pylops(from_scipy(dense, X, Y))
    assert (P.dims, P.dimsd) == ((4,), (6,))
    b = np.arange(6.0)
    # A* A has two distinct eigenvalues: two steps give the solution to roundings; a third would divide one by another
    x = pylops.optimization.basic.cgls(P, b, x0=np.zeros(4), niter=2, tol=0.0)[0]
    assert np.linalg.norm(x - np.linalg.lstsq(dense, b, rcond=None)[0]) <= 100 * EPS * np.linalg.norm(b)


@pytest.mark.parametrize("arguments", [(np.eye(2),), (Identity(Euclidean(2)),)])
def test_what_from_pylops_refuses(pylops: Any, arguments: Any) -> None:
    """Only PyLops' operators are taken, and only spaces for spaces, of the right number of entries."""
    with pytest.raises(TypeError, match=r"from_pylops: expected a pylops.LinearOperator"):
        from_pylops(*arguments)
    with pytest.raises(TypeError, match="expected domain to be a Space, or None, found 2"):
        from_pylops(pylops.Identity(2), 2)
    with pytest.raises(SpaceError, match=r"expected an operator of shape \(2, 3\).*entries.*found shape \(2, 2\)"):
        from_pylops(pylops.Identity(2), Euclidean(3))


@pytest.mark.parametrize("convert", [to_pylops, from_pylops])
def test_without_pylops(convert: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyLops is missing, the error says what to do."""
    monkeypatch.setitem(sys.modules, "pylops", None)
    with pytest.raises(ImportError, match="pip install pylops"):
        convert(Identity(Euclidean(2)))


@pytest.mark.parametrize("function", [to_pylops, from_pylops])
def test_examples_with_pylops(pylops: Any, function: Any) -> None:
    """The examples in the docstrings, which are skipped where PyLops is missing, are right."""
    text = (function.__doc__ or "").replace("# doctest: +SKIP", "")
    parsed = doctest.DocTestParser().get_doctest(text, {**vars(pylops_module)}, function.__name__, None, 0)
    assert len(parsed.examples) >= 2
    results = doctest.DocTestRunner().run(parsed)
    assert results.failed == 0
