"""Strategies for operators that treat each entry by itself: diagonals, parts of complex numbers, identity and zero."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from linop.arguments import checked
from linop.core.identity import Identity
from linop.core.zero import Zero
from linop.operators.entrywise.conjugation import Conjugation
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.entrywise.imaginary_part import ImaginaryPart
from linop.operators.entrywise.real_part import RealPart
from linop.spaces import Euclidean
from linop.testing.expressions import Expression
from linop.testing.operators.twin import spaces_like, with_twin
from linop.testing.spaces import euclidean_spaces, shapes


@checked
@st.composite
def diagonals(draw: st.DrawFn, *, singular: bool = True) -> Expression:
    """Return diagonals of small integers, quarters or tenths of them, and signs; in full or to be broadcast.

    Parameters
    ----------
    singular : bool, optional
        Whether some may have zeros.
    """
    X = draw(euclidean_spaces())
    entries = Euclidean(X.shape, X.dtype).integers(draw(st.integers(0, 99)))
    kinds = [entries, entries / 4, np.sign(entries.real), np.abs(entries), 0.1 * entries]
    if singular:
        kinds += [entries * (entries.real > 0), (entries.real > 0).astype(X.coordinate_dtype)]
    entries = draw(st.sampled_from(kinds))
    entries = np.asarray(entries, draw(st.sampled_from([X.dtype, entries.dtype])))
    ends = st.sampled_from([None, None, 1])
    entries = entries[tuple(slice(draw(ends)) for _ in X.shape)]
    return with_twin(Diagonal(entries, X), lambda x: entries * x)


@st.composite
def identities(draw: st.DrawFn) -> Expression:
    """Return identities of spaces of arrays and of tuples."""
    like = draw(euclidean_spaces())
    X = draw(st.just(like) | spaces_like(like))
    return Expression(Identity(X), np.eye(X.size, dtype=X.coordinate_dtype))


@st.composite
def zeros(draw: st.DrawFn) -> Expression:
    """Return zero operators between spaces of arrays and of tuples, or on one such space."""
    like = draw(euclidean_spaces())
    X = draw(st.just(like) | spaces_like(like, same_dtype=True))
    Y = draw(st.just(X) | spaces_like(like, same_dtype=True))
    return Expression(Zero(X, Y), np.zeros((Y.size, X.size), X.coordinate_dtype))


@st.composite
def real_parts(draw: st.DrawFn) -> Expression:
    """Return the real parts of complex arrays."""
    return with_twin(RealPart(draw(_real_spaces_of_complex_arrays())), np.real)


@st.composite
def imaginary_parts(draw: st.DrawFn) -> Expression:
    """Return the imaginary parts of complex arrays."""
    return with_twin(ImaginaryPart(draw(_real_spaces_of_complex_arrays())), np.imag)


@st.composite
def conjugations(draw: st.DrawFn) -> Expression:
    """Return conjugations of complex arrays."""
    return with_twin(Conjugation(draw(_real_spaces_of_complex_arrays())), np.conj)


def _real_spaces_of_complex_arrays() -> st.SearchStrategy[Euclidean]:
    """Return the spaces on which complex conjugation is linear."""
    return st.builds(Euclidean, shapes(), st.sampled_from(["complex64", "complex128"]), st.just("real"))
