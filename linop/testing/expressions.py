"""Hypothesis strategies for expression trees with their dense twins."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from linop.operator import LinearOperator
from linop.operators.identity import Identity
from linop.operators.matrix import Matrix
from linop.operators.zero import Zero
from linop.spaces import Euclidean, Space


class Expression(NamedTuple):
    """An operator, and the matrix that it should have."""

    operator: LinearOperator
    matrix: np.ndarray[Any, Any]


def integer_matrices(rows: int, columns: int, dtype: Any) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Return matrices with entries of small integers, for which floating-point arithmetic is exact."""

    def build(seed: int) -> np.ndarray[Any, Any]:
        generator = np.random.default_rng(seed)
        entries = generator.integers(-3, 4, (rows, columns)).astype(dtype)
        if np.iscomplexobj(entries):
            entries = entries + 1j * generator.integers(-3, 4, (rows, columns))
        return entries.astype(dtype)

    return st.integers(0, 2**16).map(build)


@st.composite
def expressions(draw: st.DrawFn, domain: Space, codomain: Space, depth: int = 3) -> Expression:
    """Return expression trees between two Euclidean spaces, of integer matrices, with their dense twins."""
    kinds = ["matrix", "zero"]
    if domain == codomain:
        kinds.append("identity")
    if depth > 0:
        kinds += ["compose", "add", "subtract", "scale", "adjoint"]
    kind = draw(st.sampled_from(kinds))

    def tree(source: Space, target: Space) -> Expression:
        return draw(expressions(source, target, depth - 1))

    if kind == "matrix":
        entries = draw(integer_matrices(codomain.size, domain.size, domain.dtype))
        return Expression(Matrix(entries, domain, codomain), entries)
    if kind == "zero":
        return Expression(Zero(domain, codomain), np.zeros((codomain.size, domain.size), domain.dtype))
    if kind == "identity":
        return Expression(Identity(domain), np.eye(domain.size, dtype=domain.dtype))
    if kind == "compose":
        between = draw(st.sampled_from([domain, codomain, Euclidean((2, 1), domain.dtype)]))
        right, left = tree(domain, between), tree(between, codomain)
        return Expression(left.operator @ right.operator, left.matrix @ right.matrix)
    if kind == "adjoint":
        inner = tree(codomain, domain)
        return Expression(inner.operator.H, inner.matrix.conj().T)
    if kind == "scale":
        inner = tree(domain, codomain)
        scalars = [-1, 0, 1, 2, 0.5] + ([2j, 1 - 1j] if domain.field == "complex" else [])
        scalar = draw(st.sampled_from(scalars))
        return Expression(scalar * inner.operator, np.asarray(scalar * inner.matrix, inner.matrix.dtype))
    left, right = tree(domain, codomain), tree(domain, codomain)
    if kind == "add":
        return Expression(left.operator + right.operator, left.matrix + right.matrix)
    return Expression(left.operator - right.operator, left.matrix - right.matrix)
