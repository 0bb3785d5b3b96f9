"""One assertion that says everything about an operator: it is its dense twin, on every kind of space and array."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from linop import arrays
from linop.arguments import checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.core.reweight import reweight
from linop.errors import VerificationError
from linop.queries.matrix import matrix
from linop.spaces import Space
from linop.testing.spaces import weight_matrix, with_weights
from linop.verify import assert_correct, probe

LIBRARIES: tuple[Literal["torch", "array_api_strict"], ...] = ("torch", "array_api_strict")
"""Array libraries that results are compared for, where they are installed."""

WEIGHTS: tuple[Literal["number", "array", "operator"], ...] = ("number", "array", "operator")
"""Weights of the spaces between which ``A.H`` is compared."""


@checked
def dense(function: Callable[[Vector], Vector], domain: Space, codomain: Space) -> np.ndarray[Any, Any]:
    """Return the matrix of a function of one vector, from its values at the basis vectors.

    Parameters
    ----------
    function : callable
        Takes a NumPy array of the domain (a tuple of them, of a product) to one of the codomain.
    domain, codomain : Space
        The two spaces.

    Returns
    -------
    numpy array, shape (codomain.size, domain.size)
    """
    entries = np.zeros((codomain.size, domain.size), codomain.coordinate_dtype)
    for i in range(domain.size):
        image = function(domain.basis(i))
        codomain.check(image, "dense")
        entries[:, i] = codomain.to_coordinates(image)
    return entries


@checked
def assert_operator(
    operator: LinearOperator,
    twin: npt.ArrayLike,
    *,
    libraries: Sequence[Literal["torch", "array_api_strict"]] = LIBRARIES,
) -> None:
    """Assert that an operator is right in every respect that can be tested without knowing it.

    * Its matrix is the dense twin, and that of ``dual`` the conjugate transpose; exactly where the operator claims to
      be exact, else to within its roundings.
    * Everything that `linop.check` looks at: adjoint, linearity, purity, batches, claims.
    * On spaces with weights (a number, an array, a matrix) ``A.H`` has the matrix ``W_X^-1 a^H W_Y``, and ``A.H.H ==
      A``.
    * Arrays of torch and of the strict array API give what NumPy's give; single precision stays single.

    Parameters
    ----------
    operator : LinearOperator
        On spaces without weights.
    twin : numpy array, shape (codomain.size, domain.size)
        The matrix that it should have, made in another way; see `dense`.
    libraries : sequence of {"torch", "array_api_strict"}, optional
        Array libraries, beside NumPy, whose arrays it takes; those that are not installed are left out. Of an operator
        that knows NumPy's arrays only, ``()``.

    Raises
    ------
    VerificationError
        With what failed.

    Examples
    --------
    >>> from linop import CumulativeSum, Euclidean
    >>> assert_operator(CumulativeSum(Euclidean(3)), np.tril(np.ones((3, 3))))
    """
    X, Y = operator.domain, operator.codomain
    twin = np.asarray(twin)
    _assert_close("the matrix", operator, matrix(operator), twin, operator.exact)
    _assert_close("the matrix of dual", operator.dual, matrix(operator.dual), twin.conj().T, operator.exact)
    _assert(operator.dual == operator.H, operator, "dual is not H, on spaces without weights")
    _assert(operator == operator.H.H, operator, "H.H is not the operator itself; write _key, or dual")
    assert_correct(operator)
    for kind in WEIGHTS:
        Xw = with_weights(X, kind, 1)
        Yw = Xw if X == Y else with_weights(Y, kind, 2)
        B = reweight(operator, Xw, Yw)
        expected = np.linalg.solve(weight_matrix(Xw), twin.conj().T @ weight_matrix(Yw)) if X.size else twin.conj().T
        exact = operator.exact and kind != "operator"
        _assert_close(f"the matrix of H, with {kind} weights", operator, matrix(B.H), expected, exact, slack=100.0)
        _assert(B.H.H == B, B, "H.H is not the operator itself")
    x = X.integers(3, (2,))
    expected = operator(x)
    for library in libraries:
        _assert_carries(operator, library, x, expected)
    for side in (operator, operator.dual):
        x = side.domain.integers(3, (2,))
        single = side(arrays.each(_single, x))
        found = {str(a.dtype) for a in arrays.leaves(single)}
        _assert(found <= {"float32", "complex64"}, side, f"makes {', '.join(sorted(found))} of single precision")
        _assert_same("of single precision", side, single, side(x))


def _assert(holds: bool, operator: LinearOperator, fault: str) -> None:
    """Raise with the operator and its fault unless something holds."""
    if not holds:
        raise VerificationError(f"{operator!r}: {fault}")


def _assert_carries(operator: LinearOperator, library: str, x: Vector, expected: Vector) -> None:
    """Compare the image of arrays of a library with that of NumPy's, where the library is installed."""
    try:
        xp = importlib.import_module(library)
    except ModuleNotFoundError:
        return
    given = arrays.each(xp.asarray, x)
    advice = f"if it is not for these, leave {library} out of libraries ({', '.join(LIBRARIES)} by default)"
    try:
        found = operator(given)
        kinds = {type(a) for a in arrays.leaves(given)}, {type(a) for a in arrays.leaves(found)}
        numbers = probe.numbers(found)
    except Exception as error:
        fault = f"with arrays of {library}: {type(error).__name__}: {error}; {advice}"
        raise VerificationError(f"{operator!r}: {fault}") from error
    names = [", ".join(sorted(kind.__name__ for kind in each)) for each in kinds]
    _assert(kinds[0] == kinds[1], operator, f"with arrays of {library}: makes {names[1]} of {names[0]}; {advice}")
    _assert_same(f"with arrays of {library}", operator, numbers, expected)


def _assert_close(
    what: str,
    operator: LinearOperator,
    found: np.ndarray,
    expected: np.ndarray,
    exact: bool,
    slack: float = 1.0,
) -> None:
    """Compare two matrices: exactly, or to the roundings of the larger one of their rows and columns."""
    _assert(found.shape == expected.shape, operator, f"{what} has shape {found.shape}, expected {expected.shape}")
    allowed = np.zeros_like(found, dtype=np.float64)
    if not exact:
        scale = np.maximum(np.linalg.norm(expected, axis=1)[:, None], np.linalg.norm(expected, axis=0)[None, :])
        eps = float(np.finfo(found.dtype).eps)
        allowed = slack * 8 * (1 + np.sqrt(operator.roundings)) * eps * np.maximum(scale, probe.floor(operator))
    wrong = ~((np.abs(found - expected) <= allowed) | (found == expected))
    if wrong.any():
        i, j = (int(k) for k in np.argwhere(wrong)[0])
        fault = f"{what} has {found[i, j]} in row {i} and column {j}, expected {expected[i, j]}"
        _assert(False, operator, f"{fault}; {int(wrong.sum())} of {wrong.size} entries differ")


def _assert_same(what: str, operator: LinearOperator, found: Vector, expected: Vector) -> None:
    """Compare two batches of results."""
    Y = operator.codomain
    difference = arrays.each(lambda a, b: a - b, found, expected)
    sizes = np.sqrt(np.asarray(Y.dot(difference, difference)).real)
    if operator.exact:
        allowed = np.zeros_like(sizes)
    else:
        floor = probe.floor(operator) * 4 * np.sqrt(operator.domain.size)
        scale = np.maximum(np.sqrt(np.asarray(Y.dot(expected, expected)).real), floor)
        allowed = probe.tolerance(operator, found) * scale
    _assert(
        bool(np.all(sizes <= allowed)), operator, f"{what}, the result is {sizes.max(initial=0.0):.1e} from NumPy's"
    )


def _single(x: np.ndarray) -> np.ndarray:
    """Return an array in single precision."""
    return x.astype(np.complex64 if x.dtype.kind == "c" else np.float32)
