"""What every composition is held to: it is its serial twin, laid out."""

from collections.abc import Callable

import numpy as np
import pytest

from distdl_ops import DistributedSpace
from distdl_ops.testing import Draft
from linop import LinearOperator, check, matrix
from linop.verify import probe

Assertion = Callable[[LinearOperator, LinearOperator], None]


def embedding(space: DistributedSpace) -> np.ndarray:
    """Return the matrix of the embedding into a space; each complex entry of a real space is two rows."""
    E = Draft(space.grid.axes, space.global_shape, str(space.dtype), space.roles).embedding()
    return np.kron(E, np.eye(2)) if space.field == "real" and space.dtype.kind == "c" else E


def assert_close(A: LinearOperator, found: np.ndarray, expected: np.ndarray, *, exact: bool) -> None:
    """Compare two matrices: exactly, or to the roundings of the larger one of their rows and columns."""
    assert found.shape == expected.shape
    if exact:
        np.testing.assert_array_equal(found, expected)
        return
    rows, columns = np.linalg.norm(expected, axis=1)[:, None], np.linalg.norm(expected, axis=0)[None, :]
    scale = np.maximum(np.maximum(rows, columns), probe.floor(A))
    allowed = 8 * (1 + np.sqrt(A.roundings)) * float(np.finfo(found.dtype).eps) * scale
    assert np.all(np.abs(found - expected) <= allowed), f"{A!r}:\n{found}\nexpected\n{expected}"


@pytest.fixture(scope="session")
def assert_laid_out() -> Assertion:
    """Return an assertion for all ranks: ``A == E_Y serial E_X*``, its adjoint is that, and every check passes."""

    def assertion(A: LinearOperator, serial: LinearOperator) -> None:
        X, Y = A.domain, A.codomain
        assert isinstance(X, DistributedSpace)
        assert isinstance(Y, DistributedSpace)
        assert (X.global_shape, Y.global_shape) == (serial.domain.shape, serial.codomain.shape)
        assert (Y.dtype, Y.field) == (serial.codomain.dtype, serial.codomain.field)
        exact = A.exact and serial.exact
        expected = embedding(Y) @ matrix(serial) @ embedding(X).T
        assert_close(A, matrix(A), expected, exact=exact)
        assert_close(A, matrix(A.H), expected.conj().T, exact=exact)
        reports = check(A)
        assert reports, str(reports)

    return assertion
