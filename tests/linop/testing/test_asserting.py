"""assert_operator: one mutant for each thing that it says of an operator, and what it says of the mutant."""

import itertools
from collections.abc import Callable
from typing import Any, final

import numpy as np
import pytest

from linop import (
    Conjugation,
    Euclidean,
    Identity,
    LinearOperator,
    Matrix,
    Product,
    SpaceError,
    VerificationError,
    VStack,
    claims,
)
from linop.claims import Claims
from linop.testing import assert_operator, dense
from linop.testing import asserting as module

pytestmark = pytest.mark.serial

X, Y = Euclidean(3, complex), Euclidean(2, complex)
ENTRIES = np.array([[1, 2j, 0], [3, 1, -1j]])
RIGHT = Matrix(ENTRIES, X, Y)
SYMMETRIC = np.array([[0.0, 1.0], [1.0, 0.0]])


@final
class Mutant(LinearOperator):
    """An operator that is right but for what it is given: by default, another spelling of `Matrix`."""

    def __init__(
        self,
        matrix: Matrix = RIGHT,
        forward: Callable[[Any], Any] | None = None,
        backward: Callable[[Any], Any] | None = None,
        *,
        exact: bool = True,
        roundings: int | None = None,
        gain: float | None = None,
        claimed: Claims = claims.NONE,
    ) -> None:
        super().__init__(matrix.domain, matrix.codomain)
        self._forward = matrix._apply if forward is None else forward
        self._backward = matrix._apply_dual if backward is None else backward
        self._exact, self._gain, self._claims = exact, gain, claimed
        self._roundings = matrix.roundings if roundings is None else roundings

    @property
    def exact(self) -> bool:
        return self._exact

    @property
    def roundings(self) -> int:
        return self._roundings

    @property
    def gain(self) -> float | None:
        return self._gain

    @property
    def claims(self) -> Claims:
        return self._claims

    def _apply(self, x: Any) -> Any:
        return self._forward(x)

    def _apply_dual(self, y: Any) -> Any:
        return self._backward(y)


@final
class Forgetful(LinearOperator):
    """An operator whose adjoint does not know whose adjoint it is."""

    def __init__(self, inner: LinearOperator) -> None:
        super().__init__(inner.domain, inner.codomain)
        self.inner = inner

    def _apply(self, x: Any) -> Any:
        return self.inner._apply(x)

    @property
    def dual(self) -> LinearOperator:
        return Forgetful(self.inner.dual)


def what_fails(operator: LinearOperator, twin: Any) -> str:
    """Return the error, and the statement of `assert_operator` that raises it."""
    with pytest.raises((AssertionError, SpaceError)) as caught:
        assert_operator(operator, np.asarray(twin))
    (entry,) = (entry for entry in caught.traceback if entry.name == "assert_operator")
    assert str(entry.path) == module.__file__
    return f"{entry.statement}\n{caught.value}"


def test_what_is_right() -> None:
    """What every mutant here differs from passes; so do expressions, and operators of tuples."""
    assert_operator(RIGHT, ENTRIES)
    assert_operator(Mutant(), ENTRIES)
    assert_operator(Mutant(Matrix(SYMMETRIC), claimed=claims.UNITARY | {claims.SELF_ADJOINT}), SYMMETRIC)
    assert_operator(2 * RIGHT.H @ RIGHT, 2 * ENTRIES.conj().T @ ENTRIES)
    assert_operator(VStack(RIGHT, Identity(X)), np.concatenate([ENTRIES, np.eye(3)]))


# -- the twin ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("i", "j"), list(np.ndindex(2, 3)))
def test_a_wrong_twin(i: int, j: int) -> None:
    """A twin that differs in one entry, by one bit, is found."""
    twin = ENTRIES.copy()
    twin[i, j] += np.spacing(max(abs(twin[i, j]), 2.0**-1000))
    assert "matrix(operator), twin" in (told := what_fails(RIGHT, twin))
    assert f"in row {i} and column {j}" in told
    assert "1 of 6 entries differ" in told


def test_a_twin_of_another_shape() -> None:
    """A matrix for other spaces is no twin, even where it would broadcast."""
    assert "has shape (2, 3), expected (3, 2)" in what_fails(RIGHT, ENTRIES.T)
    assert "has shape (2, 2), expected (1, 1)" in what_fails(Matrix(np.ones((2, 2))), [[1.0]])


def test_a_wrong_twin_to_within_roundings() -> None:
    """Where arithmetic rounds, what is allowed are roundings, and no more."""
    a = 0.1 * np.arange(1.0, 7.0).reshape(2, 3)
    A = Matrix(a)
    assert not A.exact
    assert_operator(A, a * (1 + 2.0**-52))
    assert "matrix(operator), twin" in what_fails(A, a * (1 + 2.0**-40))


# -- the map and its adjoint -------------------------------------------------------------------------------------------


def test_a_wrong_adjoint() -> None:
    """An adjoint that forgets to conjugate is found, whatever the twin of the map."""
    wrong = Mutant(backward=Matrix(ENTRIES.T, Y, X)._apply)
    assert "matrix(operator.dual), twin.conj().T" in what_fails(wrong, ENTRIES)


def test_other_maps_with_the_same_matrix() -> None:
    """Conjugation is no map of a complex space, though it leaves every basis vector alone."""
    conjugate = Conjugation(Euclidean(3, complex, "real"))._apply
    wrong = Mutant(Matrix(np.eye(3), X, X), conjugate, conjugate)
    assert "linearity" in what_fails(wrong, np.eye(3))


def test_what_is_not_linear() -> None:
    """A product of two entries is zero on every basis vector, and found on others."""

    def forward(x: Any) -> Any:
        return RIGHT._apply(x) + x[..., :1] * x[..., 1:2]

    assert "linearity" in what_fails(Mutant(forward=forward), ENTRIES)


def test_an_adjoint_that_forgets() -> None:
    """The adjoint of the adjoint must be equal to the operator."""
    assert "operator.dual == operator.H" in what_fails(Forgetful(RIGHT), ENTRIES)


# -- pure functions ----------------------------------------------------------------------------------------------------


def test_aliasing() -> None:
    """A result that is the argument is found, also where only the adjoint returns it."""
    entries = np.eye(3)
    A = Matrix(entries, X, X)
    for mutant in (Mutant(A, forward=lambda x: x), Mutant(A, backward=lambda y: y)):
        assert "shares memory with its argument" in what_fails(mutant, entries)


def test_a_view() -> None:
    """So is a result that is a part of the argument."""
    crop = np.eye(2, 3)
    assert "shares memory" in what_fails(Mutant(Matrix(crop, X, Y), forward=lambda x: x[..., :2]), crop)


def test_a_changed_argument() -> None:
    """A map that works in the argument's memory is found, even if it puts everything back but one sign."""

    def forward(x: Any) -> Any:
        result = RIGHT._apply(x)
        x[..., -1] = -x[..., -1]
        return result

    assert "has changed its argument" in what_fails(Mutant(forward=forward), ENTRIES)


def test_scratch_memory() -> None:
    """Results that are always the same array are found: the second one overwrites the first."""
    scratch: dict[Any, Any] = {}

    def forward(x: Any) -> Any:
        result = RIGHT._apply(x)
        kept = scratch.setdefault((type(result), result.dtype, tuple(result.shape)), result)
        kept[...] = result
        return kept

    assert "linearity" in what_fails(Mutant(forward=forward), ENTRIES)


def test_results_that_depend_on_the_calls_before() -> None:
    """A map that is right in every second call only is found."""
    calls = itertools.count()

    def forward(x: Any) -> Any:
        return RIGHT._apply(x) * (1 - next(calls) % 2)

    assert "gives another result when it is called again" in what_fails(Mutant(forward=forward), ENTRIES)


# -- batches, precision, libraries -------------------------------------------------------------------------------------


def test_a_lost_batch() -> None:
    """A map that takes the first vector of a batch for all is found."""

    def forward(x: Any) -> Any:
        return RIGHT._apply(x) if x.ndim < 3 else RIGHT._apply(0 * x + x[:1])

    assert "of a batch" in what_fails(Mutant(forward=forward), ENTRIES)


def test_a_flattened_batch() -> None:
    """So is one that makes one axis of all batch axes, where results have the wrong shape."""
    mutant = Mutant(forward=lambda x: RIGHT._apply(x if x.ndim < 2 else x.reshape(-1, 3)))
    assert "has the batch" in what_fails(mutant, ENTRIES)


@pytest.mark.parametrize("side", ["forward", "backward"])
def test_single_precision_becomes_double(side: str) -> None:
    """A map that computes in double precision must return in that of the argument; and so must its adjoint."""
    kernel = {"forward": RIGHT._apply, "backward": RIGHT._apply_dual}[side]

    def double(x: Any) -> Any:
        return kernel(x.astype(complex) if type(x) is np.ndarray else x)

    assert "of single precision" in what_fails(Mutant(**{side: double}), ENTRIES)  # type: ignore[arg-type]


def test_double_precision_becomes_single() -> None:
    """A map that computes in single precision is found by what it returns."""

    def forward(x: Any) -> Any:
        return RIGHT._apply(x.astype(np.complex64) if type(x) is np.ndarray else x)

    assert "has made complex64 of complex128" in what_fails(Mutant(forward=forward), ENTRIES)


def test_digits_that_are_lost_on_the_way() -> None:
    """A map that computes in single precision and returns double is found where an entry needs the digits."""
    entries = ENTRIES + np.array([[2.0**-30, 0, 0], [0, 0, 0]])
    A = Matrix(entries, X, Y)
    assert not A.exact

    def forward(x: Any) -> Any:
        return A._apply(x.astype(np.complex64)).astype(x.dtype) if type(x) is np.ndarray else A._apply(x)

    assert_operator(Mutant(A, exact=False), entries)
    assert "matrix(operator), twin" in what_fails(Mutant(A, forward, exact=False), entries)


def test_another_library() -> None:
    """A map that makes NumPy's arrays of torch's is found."""
    mutant = Mutant(forward=lambda x: RIGHT._apply(np.asarray(x)))
    assert "with arrays of torch: makes ndarray of Tensor" in what_fails(mutant, ENTRIES)


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_another_result_in_another_library(library: str) -> None:
    """A map that is another one for another library's arrays is found."""

    def forward(x: Any) -> Any:
        return (2 if type(x).__module__.startswith(library) else 1) * RIGHT._apply(x)

    assert f"with arrays of {library}, the result is" in what_fails(Mutant(forward=forward), ENTRIES)


def test_what_only_numpy_has() -> None:
    """A map that is written in NumPy is found where there is another library, which can be left out."""
    mutant = Mutant(forward=lambda x: x @ ENTRIES.T.astype(x.dtype))
    with pytest.raises(VerificationError, match=r"with arrays of torch: TypeError.*leave torch out of libraries"):
        assert_operator(mutant, ENTRIES)
    assert_operator(mutant, ENTRIES, libraries=())


# -- claims ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "entries"),
    [
        (claims.SELF_ADJOINT, [[1.0, 2.0], [0.0, 1.0]]),
        (claims.POSITIVE, SYMMETRIC),
        (claims.ISOMETRY, [[1.0, 0.0], [0.0, 2.0]]),
        (claims.COISOMETRY, [[1.0, 0.0], [0.0, 2.0]]),
        (claims.IDEMPOTENT, SYMMETRIC),
        (claims.DIAGONAL, SYMMETRIC),
    ],
)
def test_a_false_claim(claim: str, entries: Any) -> None:
    """Each claim is tried; here the map and its adjoint are right."""
    A = Matrix(entries)
    assert_operator(Mutant(A), A.entries)
    assert f"claim {claim}" in what_fails(Mutant(A, claimed=frozenset({claim})), A.entries)


def test_a_gain_that_is_too_small() -> None:
    """The gain bounds the norm."""
    assert_operator(Mutant(gain=5.0), ENTRIES)
    assert "claim gain" in what_fails(Mutant(gain=2.0), ENTRIES)


def test_exactness_that_is_not() -> None:
    """Tenths are no integers."""
    A = Matrix([[0.1, 0.7], [0.3, 0.1]])
    assert_operator(Mutant(A, exact=False, gain=A.gain), A.entries)
    assert "claim exact" in what_fails(Mutant(A), A.entries)


# -- dense -------------------------------------------------------------------------------------------------------------


def test_dense() -> None:
    """The matrix of a function has its values at the basis vectors for columns."""
    P, R = Product(Euclidean(1), Euclidean(2)), Euclidean(1, complex, "real")
    found = dense(lambda x: (2 * x[1], x[0]), P, Product(Euclidean(2), Euclidean(1)))
    assert found.tolist() == [[0, 2, 0], [0, 0, 2], [1, 0, 0]]
    assert dense(np.conj, R, R).tolist() == [[1, 0], [0, -1]]
    assert dense(np.copy, Euclidean(0), Euclidean(0)).shape == (0, 0)
    assert dense(np.copy, Euclidean(1, "float32"), Euclidean(1, "float32")).dtype == np.float32
