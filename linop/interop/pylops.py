"""To and from `pylops.LinearOperator`, where PyLops is installed.

PyLops' vectors are flattened arrays, whose shapes an operator knows as ``dims`` and ``dimsd``. They are paired as here,
unless an operator is linear over the real numbers only (``clinear=False``: the real part, or the Fourier transform of
real signals). Then its adjoint is meant for the real part of the pairing, which is that of a *real* space of complex
arrays, ``Euclidean(shape, complex, field="real")``.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import ArgumentTypeError
from linop.interop.columns import Columns
from linop.interop.foreign import ForeignOperator
from linop.spaces import Euclidean, Space


@checked
def to_pylops(operator: LinearOperator) -> Any:
    """Return an operator as PyLops': a map of flattened arrays.

    Parameters
    ----------
    operator : LinearOperator
        Any operator. Of a product of spaces, and of spaces that are spread over processes, a vector is handed over as
        its coordinates; on the latter, calls are collective.

    Returns
    -------
    pylops.LinearOperator
        With ``dims`` and ``dimsd`` the shapes of vectors; not ``clinear`` on real spaces of complex arrays. Its adjoint
        is ``operator.dual``: weights do not enter.

    Raises
    ------
    ImportError
        When PyLops is not installed.

    Examples
    --------
    >>> from linop import Diagonal
    >>> P = to_pylops(Diagonal([[1.0, 2.0], [4.0, 8.0]]))       # doctest: +SKIP
    >>> (P.H @ P @ np.ones((2, 2))).tolist()                    # doctest: +SKIP
    [[1.0, 4.0], [16.0, 64.0]]
    """
    pylops = _pylops("to_pylops")
    forward, backward = Columns(operator, "entries"), Columns(operator.dual, "entries")

    class FromLinop(pylops.LinearOperator):  # type: ignore[misc,name-defined]
        linop = operator  # for the way back

        def _matvec(self, x: np.ndarray) -> np.ndarray:
            return forward.vector(x)

        def _rmatvec(self, y: np.ndarray) -> np.ndarray:
            return backward.vector(y)

        def _matmat(self, x: np.ndarray) -> np.ndarray:
            return forward.matrix(x)

        def _rmatmat(self, y: np.ndarray) -> np.ndarray:
            return backward.matrix(y)

    return FromLinop(
        dtype=forward.dtype,
        dims=_shape(operator.domain, forward.shape[1]),
        dimsd=_shape(operator.codomain, forward.shape[0]),
        clinear=forward.complex_linear,
        name=str(operator),
    )


@checked
def from_pylops(operator: Any, domain: Space | None = None, codomain: Space | None = None) -> LinearOperator:
    """Return an operator of PyLops' as one of ours.

    Parameters
    ----------
    operator : pylops.LinearOperator
        Not copied.
    domain, codomain : Space, optional
        Spaces whose vectors have as many entries as the operator has columns and rows. By default, Euclidean ones of
        shape ``dims`` and ``dimsd`` and the operator's dtype, real ones (``field="real"``) where it is not linear over
        the complex numbers; where one is given, the other is the same if it has that shape, and else has its field
        and precision. A domain of real arrays may be given to a complex operator too, with a real space for a codomain.

    Returns
    -------
    LinearOperator
        A `ForeignOperator`. Of what `to_pylops` made, the original, when no other spaces are asked for.

    Raises
    ------
    ImportError
        When PyLops is not installed.
    TypeError
        When `operator` is none of PyLops', or a space is none.
    SpaceError
        When the spaces have another number of entries; or are complex, and the operator is not linear over the complex
        numbers.

    Examples
    --------
    >>> import pylops                                                             # doctest: +SKIP
    >>> from linop import Euclidean
    >>> A = from_pylops(pylops.signalprocessing.FFT(4, real=True), Euclidean(4))  # doctest: +SKIP
    >>> A                                                                         # doctest: +SKIP
    FFT_numpy(3x4) : Euclidean((4,), float64) -> Euclidean((3,), complex128, field='real')
    """
    pylops = _pylops("from_pylops")
    if not isinstance(operator, pylops.LinearOperator):
        raise ArgumentTypeError(f"from_pylops: expected a pylops.LinearOperator, found {type(operator).__name__}")
    for space in (domain, codomain):
        if not isinstance(space, Space | None):
            raise ArgumentTypeError(f"from_pylops: expected a Space, found {space!r}")
    given = getattr(operator, "linop", None)
    if isinstance(given, LinearOperator) and domain in (None, given.domain) and codomain in (None, given.codomain):
        return given
    domain = _like(codomain, operator, operator.dims) if domain is None else domain
    codomain = _like(domain, operator, operator.dimsd) if codomain is None else codomain
    return ForeignOperator(operator, domain, codomain, numbers="entries", complex_linear=operator.clinear)


def _like(given: Space | None, operator: Any, dims: Any) -> Space:
    """Return a space of arrays of a shape: the other one that was given, where it fits."""
    shape, dtype = tuple(int(n) for n in dims), np.dtype(operator.dtype)
    if given is None:
        dtype = dtype if dtype.kind in "fc" else np.dtype(np.float64)
        return Euclidean(shape, dtype, None if operator.clinear else "real")
    is_complex = dtype.kind == "c" or given.dtype.kind == "c"
    if given.shape == shape and is_complex == (given.dtype.kind == "c"):
        return given
    return Euclidean(shape, np.result_type(given.dtype, np.complex64) if is_complex else given.dtype, given.field)


def _shape(space: Space, size: int) -> tuple[int, ...]:
    """Return the shape of a vector's array; of one that is no single array, its number of coordinates."""
    plain = isinstance(space.unweighted, Euclidean) and math.prod(space.shape) == size
    return space.shape if plain and space.shape else (size,)


def _pylops(name: str) -> Any:
    try:
        return import_module("pylops")
    except ImportError as error:
        raise ImportError(f"{name} needs PyLops: pip install pylops") from error
