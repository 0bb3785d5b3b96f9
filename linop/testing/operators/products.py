"""Strategies for operators that multiply and sum: matrices, functionals, outer products, functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from linop.operators.matrices.function import FunctionOperator
from linop.operators.matrices.functional import Functional
from linop.operators.matrices.matrix import Matrix
from linop.operators.matrices.outer import Outer
from linop.operators.matrices.sparse_matrix import SparseMatrix
from linop.spaces import Space
from linop.testing.expressions import Expression, integer_matrices
from linop.testing.operators.twin import arrays_like, spaces_like, with_twin
from linop.testing.spaces import euclidean_spaces

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
"""How scipy stores sparse matrices."""


@st.composite
def matrices(draw: st.DrawFn) -> Expression:
    """Return matrices of integers, quarters and tenths between arrays and tuples, self-adjoint ones among them."""
    X, Y = draw(_pairs_of_spaces())
    entries = draw(_entries(X, Y, (1, 0.25, 0.1)))
    return Expression(Matrix(entries, X, Y), entries)


@st.composite
def sparse_matrices(draw: st.DrawFn) -> Expression:
    """Return sparse matrices in all formats of scipy; else as `matrices`."""
    import scipy.sparse

    X, Y = draw(_pairs_of_spaces())
    entries = draw(_entries(X, Y, (1, 0.25, 0.1), (0, 0.2, 0.7)))
    name = draw(st.sampled_from(FORMATS)) + draw(st.sampled_from(["_array", "_matrix"]))
    return Expression(SparseMatrix(getattr(scipy.sparse, name)(entries), X, Y), entries)


@st.composite
def function_operators(draw: st.DrawFn) -> Expression:
    """Return operators of functions, which multiply matrices of integers and quarters, for a vector or for batches."""
    X = draw(euclidean_spaces())
    Y = draw(st.just(X) | arrays_like(X, same_dtype=True))
    entries = draw(_entries(X, Y, (1, 0.25)))
    A = Matrix(entries, X, Y)
    exact, batched = draw(st.booleans()), draw(st.booleans())
    operator = FunctionOperator(X, Y, A, A.dual, exact=exact, roundings=A.roundings, batched=batched)
    return Expression(operator, entries)


@st.composite
def functionals(draw: st.DrawFn) -> Expression:
    """Return pairings with vectors of integers, quarters and others; real and complex; in another precision or not."""
    X = draw(euclidean_spaces())
    v = X.integers(draw(st.integers(0, 99)))
    v = draw(st.sampled_from([v, v / 4, 0.1 * v, np.abs(v)]))
    v = np.asarray(v, draw(st.sampled_from([X.dtype, v.dtype])))
    return with_twin(Functional(v, X), lambda x: pairing(v, x, X.field))


@st.composite
def outers(draw: st.DrawFn) -> Expression:
    """Return outer products of integers and tenths between spaces of one field."""
    X = draw(euclidean_spaces())
    Y = draw(arrays_like(X))
    factor, seeds = draw(st.sampled_from([1, 0.1])), draw(st.tuples(st.integers(0, 99), st.integers(0, 99)))
    u, v = np.asarray(factor * Y.integers(seeds[0]), Y.dtype), X.integers(seeds[1])
    return with_twin(Outer(u, v, X, Y), lambda x: u * pairing(v, x, X.field))


def pairing(v: np.ndarray[Any, Any], x: np.ndarray[Any, Any], field: str) -> np.ndarray[Any, Any]:
    """Return ``sum(conj(v) x)``, the real part where the field is real: an array without axes."""
    total = np.asarray(np.sum(np.conj(v) * x))
    return total.real if field == "real" else total


@st.composite
def _pairs_of_spaces(draw: st.DrawFn) -> tuple[Space, Space]:
    """Return two spaces over one field, of arrays and of tuples; or one space twice."""
    like = draw(euclidean_spaces())
    X = draw(st.just(like) | spaces_like(like))
    return X, draw(st.just(X) | spaces_like(like) | spaces_like(like))


@st.composite
def _entries(
    draw: st.DrawFn, X: Space, Y: Space, factors: tuple[float, ...], kept: tuple[float, ...] = (1,)
) -> np.ndarray[Any, Any]:
    """Return matrices of multiples of integers, a part of which is kept; real ones, too, and self-adjoint ones."""
    dtype = X.coordinate_dtype
    entries = draw(integer_matrices(Y.size, X.size, draw(st.sampled_from([dtype, np.empty(0, dtype).real.dtype]))))
    mask = np.random.default_rng(draw(st.integers(0, 99))).random(entries.shape) < draw(st.sampled_from(kept))
    found = np.asarray(draw(st.sampled_from(factors)) * entries * mask, entries.dtype)
    return found + found.conj().T if X == Y and draw(st.booleans()) else found
