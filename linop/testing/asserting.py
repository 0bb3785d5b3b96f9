"""One assertion that says everything about an operator: it is its dense twin, on every kind of space and array."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from linop import arrays
from linop.arrays import Vector
from linop.operator import LinearOperator
from linop.operators.reweight import reweight
from linop.queries import matrix
from linop.spaces import Space
from linop.testing.spaces import weight_matrix, with_weights
from linop.verify import assert_correct, probe

LIBRARIES = ("torch", "array_api_strict")
"""Array libraries that results are compared for, where they are installed."""


def dense(function: Any, domain: Space, codomain: Space) -> np.ndarray[Any, Any]:
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
        entries[:, i] = codomain.to_coordinates(function(domain.basis(i)))
    return entries


def assert_operator(operator: LinearOperator, twin: np.ndarray[Any, Any]) -> None:
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

    Examples
    --------
    >>> from linop import CumulativeSum, Euclidean
    >>> assert_operator(CumulativeSum(Euclidean(3)), np.tril(np.ones((3, 3))))
    """
    X, Y = operator.domain, operator.codomain
    _assert_close(operator, matrix(operator), twin, operator.exact)
    _assert_close(operator.dual, matrix(operator.dual), twin.conj().T, operator.exact)
    assert operator.dual == operator.H
    assert operator == operator.H.H
    assert_correct(operator)
    for kind in ("number", "array", "operator"):
        Xw = with_weights(X, kind, 1)
        Yw = Xw if X == Y else with_weights(Y, kind, 2)
        B = reweight(operator, Xw, Yw)
        expected = np.linalg.solve(weight_matrix(Xw), twin.conj().T @ weight_matrix(Yw)) if X.size else twin.conj().T
        _assert_close(operator, matrix(B.H), expected, operator.exact and kind != "operator", slack=100.0)
        assert B.H.H == B
    x = X.integers(3, (2,))
    expected = operator(x)
    for library in LIBRARIES:
        try:
            xp = importlib.import_module(library)
        except ModuleNotFoundError:
            continue
        given = arrays.each(xp.asarray, x)
        found = operator(given)
        assert {type(a) for a in arrays.leaves(found)} == {type(a) for a in arrays.leaves(given)}
        _assert_same(operator, probe.numbers(found), expected)
    for side in (operator, operator.dual):
        x = side.domain.integers(3, (2,))
        single = side(arrays.each(_single, x))
        assert {a.dtype.itemsize // (2 if a.dtype.kind == "c" else 1) for a in arrays.leaves(single)} == {4}
        _assert_same(side, single, side(x))


def _assert_close(
    operator: LinearOperator, found: np.ndarray, expected: np.ndarray, exact: bool, slack: float = 1.0
) -> None:
    """Compare two matrices: exactly, or to the roundings of the larger one of their rows and columns."""
    assert found.shape == expected.shape, f"{operator!r}: the matrix has shape {found.shape}, expected {expected.shape}"
    if exact:
        np.testing.assert_array_equal(found, expected)
        return
    scale = np.maximum(np.linalg.norm(expected, axis=1)[:, None], np.linalg.norm(expected, axis=0)[None, :])
    eps = float(np.finfo(found.dtype).eps)
    allowed = slack * 8 * (1 + np.sqrt(operator.roundings)) * eps * np.maximum(scale, probe.floor(operator))
    if not np.all(np.abs(found - expected) <= allowed):
        np.testing.assert_allclose(found, expected, rtol=0, atol=allowed.max(initial=0.0), err_msg=repr(operator))
        raise AssertionError(f"{operator!r}: the matrix is\n{found}\nexpected\n{expected}")


def _assert_same(operator: LinearOperator, found: Vector, expected: Vector) -> None:
    """Compare two batches of results."""
    Y = operator.codomain
    if operator.exact:
        arrays.each(np.testing.assert_array_equal, found, expected)
        return
    difference = arrays.each(lambda a, b: a - b, found, expected)
    floor = probe.floor(operator) * 4 * np.sqrt(operator.domain.size)
    scale = np.maximum(np.sqrt(np.asarray(Y.dot(expected, expected)).real), floor)
    assert np.all(np.sqrt(np.asarray(Y.dot(difference, difference)).real) <= probe.tolerance(operator, found) * scale)


def _single(x: np.ndarray) -> np.ndarray:
    """Return an array in single precision."""
    return x.astype(np.complex64 if x.dtype.kind == "c" else np.float32)
