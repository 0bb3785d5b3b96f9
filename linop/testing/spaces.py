"""Hypothesis strategies for spaces and vectors."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st

from linop.arguments import Whole, checked
from linop.operators.matrices.matrix import Matrix
from linop.spaces import Euclidean, Product, Space, Weighted

Kind = Literal["none", "number", "array", "operator"]
"""What the weights of a space are."""

DTYPES = ("float32", "float64", "complex64", "complex128")


@checked
def shapes(*, min_ndim: int = 0, max_ndim: int = 3, max_extent: int = 4) -> st.SearchStrategy[tuple[int, ...]]:
    """Return shapes of arrays, empty and zero-dimensional ones included.

    Parameters
    ----------
    min_ndim, max_ndim : int, optional
        How many axes there are.
    max_extent : int, optional
        The largest extent of one.
    """
    return st.lists(st.integers(0, max_extent), min_size=min_ndim, max_size=max_ndim).map(tuple)


@checked
def euclidean_spaces(
    dtypes: tuple[str, ...] = DTYPES, *, min_ndim: int = 0, max_ndim: int = 3, max_extent: int = 4
) -> st.SearchStrategy[Euclidean]:
    """Return Euclidean spaces of small shapes, real spaces of complex arrays among them.

    Parameters
    ----------
    dtypes : tuple of str, optional
        To choose from.
    min_ndim, max_ndim, max_extent : int, optional
        As for `shapes`.
    """

    def spaces(dtype: str) -> st.SearchStrategy[Euclidean]:
        fields = [None, "real"] if dtype.startswith("complex") else [None]
        found = shapes(min_ndim=min_ndim, max_ndim=max_ndim, max_extent=max_extent)
        return st.builds(Euclidean, found, st.just(dtype), st.sampled_from(fields))

    return st.sampled_from(dtypes).flatmap(spaces)


@checked
@st.composite
def weighted_spaces(draw: st.DrawFn, space: Space) -> Space:
    """Return spaces of the same vectors with weights: a number, an array, an operator; or none.

    Parameters
    ----------
    space : Space
        Without weights.
    """
    if isinstance(space, Product):
        return Product(*(draw(weighted_spaces(part)) for part in space.parts))
    kinds: list[Kind] = ["none", "number", "array", "operator"]
    return with_weights(space, draw(st.sampled_from(kinds)), draw(st.integers(0, 2**16)))


@checked
def with_weights(space: Space, kind: Kind, seed: Whole = 0) -> Space:
    """Return a space of the same vectors with random weights.

    Parameters
    ----------
    space : Space
        Without weights.
    kind : {"none", "number", "array", "operator"}
        What the weights are. Numbers and arrays are powers of two, so that exact arithmetic stays exact; operators are
        matrices with a small condition number.
    seed : int, optional
        Where they are drawn from.
    """
    if isinstance(space, Product):
        return Product(*(with_weights(part, kind, seed + k) for k, part in enumerate(space.parts)))
    generator = np.random.default_rng(seed)
    if kind == "none":
        return space
    if kind == "number":
        return Weighted(space, float(2.0 ** generator.integers(-2, 3)))
    if kind == "array":
        return Weighted(space, 2.0 ** generator.integers(-2, 3, space.shape))
    n, dtype = space.size, space.coordinate_dtype
    lower = np.eye(n, dtype=dtype)
    below = generator.integers(-1, 2, n // 2).astype(dtype)
    if dtype.kind == "c":
        below = below + 1j * generator.integers(-1, 2, n // 2).astype(dtype)
    lower[np.arange(1, n, 2), np.arange(0, 2 * (n // 2), 2)] = below
    return Weighted(space, Matrix(lower @ lower.conj().T, space, space))


@checked
def weight_matrix(space: Space) -> np.ndarray[Any, Any]:
    """Return the matrix of the weights of a space, from their definition.

    Parameters
    ----------
    space : Space
        With weights or without.

    Returns
    -------
    numpy array, shape (space.size, space.size)
    """
    if isinstance(space, Product):
        blocks = [weight_matrix(part) for part in space.parts]
        whole = np.zeros((space.size, space.size), np.result_type(*blocks))
        start = 0
        for block in blocks:
            stop = start + len(block)
            whole[start:stop, start:stop] = block
            start = stop
        return whole
    if not isinstance(space, Weighted):
        return np.eye(space.size)
    if isinstance(space.weight, float):
        return space.weight * np.eye(space.size)
    if isinstance(space.weight, np.ndarray):
        repeats = space.size // max(math.prod(space.shape), 1)  # of a real space of complex arrays, two
        return np.diag(np.repeat(space.weight.ravel(), repeats or 1)).reshape(space.size, space.size)
    return np.asarray(space.weight.entries)


@checked
@st.composite
def awkward_arrays(draw: st.DrawFn, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Return arrays of numbers that are no small integers, of one kind or of all kinds.

    An offset far beyond the spread, ties, zeros of both signs, subnormal and huge numbers, infinities, and what is not
    a number.

    Parameters
    ----------
    shape : tuple of int
        Of the arrays.
    dtype : dtype
        Real or complex floating point.
    """
    dtype = np.dtype(dtype)
    limits = np.finfo(dtype)
    kinds = {
        "offset": [0.75 / limits.eps, 0.75 / limits.eps + 1],
        "ties": [1.0, 1.0, 1.0, 2.0],
        "zeros": [0.0, -0.0],
        "subnormal": [limits.smallest_subnormal, -limits.smallest_normal],
        "huge": [limits.max, -limits.max / 2],
        "not finite": [np.inf, -np.inf, np.nan, 1.0],
    }
    kind = draw(st.sampled_from([*kinds, "all"]))
    numbers = [n for k in kinds for n in kinds[k]] if kind == "all" else kinds[kind]
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    parts = [generator.choice(np.array(numbers), shape) for _ in range(1 + (dtype.kind == "c"))]
    array = np.empty(shape, dtype)
    array.real = parts[0]
    if dtype.kind == "c":
        array.imag = parts[1]
    return array


@checked
def vectors(space: Space, *, batch: tuple[int, ...] = ()) -> st.SearchStrategy[Any]:
    """Return vectors of small integers of a space, for which data movement is exact.

    Parameters
    ----------
    space : Space
        Any.
    batch : tuple of int, optional
        The batch axes.

    Examples
    --------
    >>> from hypothesis import HealthCheck, given, settings
    >>> few = {"max_examples": 5, "derandomize": True, "database": None, "deadline": None}
    >>> few["suppress_health_check"] = list(HealthCheck)  # here, the machine may be busy
    >>> X = Euclidean(3)
    >>> @settings(**few)
    ... @given(vectors(X))
    ... def no_vector_is_shorter_than_nothing(x):
    ...     assert X.inner(x, x) >= 0
    >>> no_vector_is_shorter_than_nothing()
    """
    return st.integers(0, 2**32).map(lambda seed: space.integers(seed, batch))
