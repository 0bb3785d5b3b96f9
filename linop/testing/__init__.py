"""Hypothesis strategies for spaces, vectors, operators and expressions with dense twins, and what to assert of them.

They need hypothesis, and are what this library tests itself with; use them for operators of your own.
"""

from __future__ import annotations

from linop.testing.asserting import assert_operator, dense
from linop.testing.expressions import Expression, expressions, integer_matrices, spaces_of_a_tree
from linop.testing.spaces import (
    DTYPES,
    euclidean_spaces,
    shapes,
    vectors,
    weight_matrix,
    weighted_spaces,
    with_weights,
)

__all__ = [
    "DTYPES",
    "Expression",
    "assert_operator",
    "dense",
    "euclidean_spaces",
    "expressions",
    "integer_matrices",
    "shapes",
    "spaces_of_a_tree",
    "vectors",
    "weight_matrix",
    "weighted_spaces",
    "with_weights",
]
