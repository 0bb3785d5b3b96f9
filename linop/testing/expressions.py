"""Hypothesis strategies for expression trees with their dense twins."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from linop.arguments import checked
from linop.blocks.block import Block
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.blocks.stack import HStack, VStack
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.zero import Zero
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.matrices.matrix import Matrix
from linop.spaces import Euclidean, Product, Space
from linop.testing.spaces import DTYPES, weight_matrix, with_weights


class Expression(NamedTuple):
    """An operator, and the matrix that it should have.

    Attributes
    ----------
    operator : LinearOperator
        The tree.
    matrix : numpy array, shape (codomain.size, domain.size)
        Its dense twin, made of those of its leaves.
    """

    operator: LinearOperator
    matrix: np.ndarray[Any, Any]


@checked
def integer_matrices(rows: int, columns: int, dtype: Any) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Return matrices with entries of small integers, for which floating-point arithmetic is exact.

    Parameters
    ----------
    rows, columns : int
        The shape.
    dtype : dtype
        Real or complex.
    """

    def build(seed: int) -> np.ndarray[Any, Any]:
        generator = np.random.default_rng(seed)
        entries = generator.integers(-3, 4, (rows, columns)).astype(dtype)
        if np.iscomplexobj(entries):
            entries = entries + 1j * generator.integers(-3, 4, (rows, columns))
        return entries.astype(dtype)

    return st.integers(0, 2**16).map(build)


class Extreme(NamedTuple):
    """An operator of tiny and huge numbers, and what it should do.

    Attributes
    ----------
    operator : LinearOperator
        The tree.
    matrix : numpy array of fractions, shape (codomain.size, domain.size)
        Its dense twin, without any rounding, overflow or underflow.
    bound : numpy array of fractions, shape (codomain.size, domain.size)
        The same, if nothing cancelled: roundings are measured by it.
    """

    operator: LinearOperator
    matrix: np.ndarray[Any, Any]
    bound: np.ndarray[Any, Any]


EXTREMES = (0.0, 1.0, -1.0, -2.0, 3.0, 2.0**600, -(2.0**600), 2.0**-600, 2.0**-1000)
"""Numbers whose products over- and underflow in double precision."""


@checked
@st.composite
def extreme_expressions(draw: st.DrawFn, rows: int = 2, columns: int = 2, depth: int = 3) -> Extreme:
    """Return expression trees of numbers whose products over- and underflow.

    Parameters
    ----------
    rows, columns : int, optional
        The shape of the matrix.
    depth : int, optional
        Of the tree, at most.
    """
    kinds = (
        ["matrix"] + ["diagonal", "identity"] * (rows == columns) + ["compose", "add", "scale", "adjoint"] * bool(depth)
    )
    kind = draw(st.sampled_from(kinds))
    if kind == "identity":
        entries = np.eye(rows)
        return _extreme(Identity(Euclidean(rows)), entries)
    if kind == "diagonal":
        drawn = [draw(st.sampled_from(EXTREMES)) for _ in range(rows)]
        return _extreme(Diagonal(drawn), np.diag(drawn))
    if kind == "matrix":
        entries = np.array([[draw(st.sampled_from(EXTREMES)) for _ in range(columns)] for _ in range(rows)])
        return _extreme(Matrix(entries), entries)
    if kind == "adjoint":
        inner = draw(extreme_expressions(columns, rows, depth - 1))
        return Extreme(inner.operator.H, inner.matrix.T, inner.bound.T)
    if kind == "scale":
        number, inner = draw(st.sampled_from(EXTREMES)), draw(extreme_expressions(rows, columns, depth - 1))
        return Extreme(number * inner.operator, Fraction(number) * inner.matrix, abs(Fraction(number)) * inner.bound)
    between = draw(st.integers(1, 3)) if kind == "compose" else columns
    left = draw(extreme_expressions(rows, between, depth - 1))
    if kind == "compose":
        right = draw(extreme_expressions(between, columns, depth - 1))
        return Extreme(left.operator @ right.operator, left.matrix @ right.matrix, left.bound @ right.bound)
    right = draw(extreme_expressions(rows, columns, depth - 1))
    return Extreme(left.operator + right.operator, left.matrix + right.matrix, left.bound + right.bound)


def _extreme(operator: LinearOperator, entries: np.ndarray[Any, Any]) -> Extreme:
    """Return an operator with the fractions of its entries."""
    exact = np.array([[Fraction(entry) for entry in row] for row in entries.tolist()], dtype=object)
    return Extreme(operator, exact, abs(exact))


@st.composite
def spaces_of_a_tree(draw: st.DrawFn) -> tuple[Space, ...]:
    """Return a few spaces over one field, for the trees of `expressions`: arrays, tuples, with weights and without."""
    dtype = draw(st.sampled_from(DTYPES))
    field = draw(st.sampled_from([None, "real"]))
    kinds = ("none", "number", "array")
    found: list[Space] = [
        with_weights(Euclidean(shape, dtype, field), draw(st.sampled_from(kinds)), k)
        for k, shape in enumerate([(), (3,), (2, 2), (0,)])
    ]
    return (*found, Product(found[1], found[0]), Product(found[2], Product(found[0])))


@checked
@st.composite
def expressions(draw: st.DrawFn, domain: Space, codomain: Space, depth: int = 3) -> Expression:
    """Return expression trees between two spaces, of integer matrices and diagonals, with their dense twins.

    Parameters
    ----------
    domain, codomain : Space
        Over one field, in one process. The twin is exact, and so is the arithmetic of the tree, where their weights are
        numbers or arrays of powers of two.
    depth : int, optional
        Of the tree, at most.

    Examples
    --------
    >>> from hypothesis import HealthCheck, given, settings
    >>> few = {"max_examples": 5, "derandomize": True, "database": None, "deadline": None}
    >>> few["suppress_health_check"] = list(HealthCheck)  # here, the machine may be busy
    >>> from linop import matrix
    >>> @settings(**few)
    ... @given(expressions(Euclidean(3), Euclidean(2)))
    ... def every_tree_has_the_matrix_of_its_twin(tree):
    ...     np.testing.assert_array_equal(matrix(tree.operator), tree.matrix)
    >>> every_tree_has_the_matrix_of_its_twin()
    """
    kinds = ["matrix", "zero"]
    array = not isinstance(domain, Product)
    if domain == codomain:
        kinds += ["identity", "diagonal"] if array else ["identity"]
    if depth > 0:
        kinds += ["compose", "add", "subtract", "scale", "adjoint"]
        kinds += ["vstack"] * (2 * isinstance(codomain, Product)) + ["hstack"] * (2 * isinstance(domain, Product))
        if isinstance(domain, Product) and isinstance(codomain, Product):
            kinds += ["block"] * 2 + ["block_diagonal"] * (2 * (len(domain.parts) == len(codomain.parts)))
        plain = domain.dtype == codomain.dtype and all(type(s) is Euclidean and s.ndim == 2 for s in (domain, codomain))
        if plain and (domain.dtype.kind == "c") == (domain.field == "complex"):
            kinds += ["kron"] * 2
    kind = draw(st.sampled_from(kinds))

    def tree(source: Space, target: Space) -> Expression:
        return draw(expressions(source, target, depth - 1))

    dtype = np.result_type(domain.coordinate_dtype, codomain.coordinate_dtype)
    if kind == "matrix":
        entries = draw(integer_matrices(codomain.size, domain.size, dtype))
        return Expression(Matrix(entries, domain, codomain), entries)
    if kind == "zero":
        return Expression(Zero(domain, codomain), np.zeros((codomain.size, domain.size), dtype))
    if kind == "identity":
        return Expression(Identity(domain), np.eye(domain.size, dtype=dtype))
    if kind == "diagonal":
        entries = Euclidean(domain.shape, dtype).integers(draw(st.integers(0, 99)))
        repeats = domain.size // max(entries.size, 1) or 1
        return Expression(Diagonal(entries, domain), np.diag(np.repeat(entries.ravel(), repeats)))
    if kind == "compose":
        between = draw(st.sampled_from([domain, codomain, Euclidean((2, 1), domain.coordinate_dtype)]))
        right, left = tree(domain, between), tree(between, codomain)
        return Expression(left.operator @ right.operator, left.matrix @ right.matrix)
    if kind == "adjoint":
        inner = tree(codomain, domain)
        weights = np.diag(1 / np.diag(weight_matrix(codomain))), weight_matrix(domain)
        twin = weights[0] @ inner.matrix.conj().T @ weights[1]
        return Expression(inner.operator.H, twin.astype(dtype))
    if kind == "scale":
        inner = tree(domain, codomain)
        scalars = [-2, -1, 0, 1, 2, 0.5] + ([-2j, -1j, 2j, 1 - 1j] if domain.field == "complex" else [])
        scalar = draw(st.sampled_from(scalars))
        return Expression(scalar * inner.operator, np.asarray(scalar * inner.matrix, dtype))
    if kind == "kron":
        first, second = (
            tree(Euclidean(n, domain.dtype), Euclidean(m, domain.dtype))
            for n, m in zip(domain.shape, codomain.shape, strict=True)
        )
        return Expression(Kron(first.operator, second.operator), np.kron(first.matrix, second.matrix))
    if kind in ("vstack", "hstack", "block", "block_diagonal"):
        return _blocks(draw, kind, domain, codomain, depth)
    left, right = tree(domain, codomain), tree(domain, codomain)
    if kind == "add":
        return Expression(left.operator + right.operator, left.matrix + right.matrix)
    return Expression(left.operator - right.operator, left.matrix - right.matrix)


def _blocks(draw: st.DrawFn, kind: str, domain: Space, codomain: Space, depth: int) -> Expression:
    """Return trees of block operators."""
    sources = domain.parts if isinstance(domain, Product) and kind != "vstack" else (domain,)
    targets = codomain.parts if isinstance(codomain, Product) and kind != "hstack" else (codomain,)
    blocks = [[draw(expressions(s, t, depth - 1)) for s in sources] for t in targets]
    if kind == "block_diagonal":
        for i, row in enumerate(blocks):
            for j, block in enumerate(row):
                if i != j:
                    row[j] = Expression(Zero(sources[j], targets[i]), np.zeros_like(block.matrix))
    twin = np.block([[block.matrix for block in row] for row in blocks])
    rows = [[block.operator for block in row] for row in blocks]
    if kind == "vstack":
        return Expression(VStack(*(row[0] for row in rows)), twin)
    if kind == "hstack":
        return Expression(HStack(*rows[0]), twin)
    if kind == "block_diagonal":
        return Expression(BlockDiagonal(*(row[k] for k, row in enumerate(rows))), twin)
    return Expression(Block(rows), twin)
