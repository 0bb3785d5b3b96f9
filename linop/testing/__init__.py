"""Hypothesis strategies for spaces, vectors, operators and expressions with dense twins, and what to assert of them.

They need hypothesis, and are what this library tests itself with; use them for operators of your own.
"""

from __future__ import annotations

from linop.testing.asserting import assert_operator, dense
from linop.testing.expressions import (
    Expression,
    Extreme,
    expressions,
    extreme_expressions,
    integer_matrices,
    spaces_of_a_tree,
)
from linop.testing.operators import STRATEGIES, any_operator
from linop.testing.operators.entrywise import (
    conjugations,
    diagonals,
    identities,
    imaginary_parts,
    real_parts,
    zeros,
)
from linop.testing.operators.grids import interpolations, resamplings
from linop.testing.operators.indexing import paddings, permutes, reshapes, restrictions
from linop.testing.operators.products import function_operators, functionals, matrices, outers, sparse_matrices
from linop.testing.operators.signals import (
    cosine_transforms,
    directional_derivatives,
    flips,
    fractional_shifts,
    laplacians,
    non_stationary_convolutions,
    rolls,
    smoothings,
    symmetrisations,
    windows,
)
from linop.testing.operators.spectral import circulants, ffts, irffts, rffts, toeplitz_operators
from linop.testing.operators.stencils import convolutions, correlations, finite_differences, gradients
from linop.testing.operators.sums import cumulative_sums, means, sums_over_axes, traces
from linop.testing.spaces import (
    DTYPES,
    awkward_arrays,
    euclidean_spaces,
    shapes,
    vectors,
    weight_matrix,
    weighted_spaces,
    with_weights,
)

__all__ = [
    "DTYPES",
    "STRATEGIES",
    "Expression",
    "Extreme",
    "any_operator",
    "assert_operator",
    "awkward_arrays",
    "circulants",
    "conjugations",
    "convolutions",
    "correlations",
    "cosine_transforms",
    "cumulative_sums",
    "dense",
    "diagonals",
    "directional_derivatives",
    "euclidean_spaces",
    "expressions",
    "extreme_expressions",
    "ffts",
    "finite_differences",
    "flips",
    "fractional_shifts",
    "function_operators",
    "functionals",
    "gradients",
    "identities",
    "imaginary_parts",
    "integer_matrices",
    "interpolations",
    "irffts",
    "laplacians",
    "matrices",
    "means",
    "non_stationary_convolutions",
    "outers",
    "paddings",
    "permutes",
    "real_parts",
    "resamplings",
    "reshapes",
    "restrictions",
    "rffts",
    "rolls",
    "shapes",
    "smoothings",
    "spaces_of_a_tree",
    "sparse_matrices",
    "sums_over_axes",
    "symmetrisations",
    "toeplitz_operators",
    "traces",
    "vectors",
    "weight_matrix",
    "weighted_spaces",
    "windows",
    "with_weights",
    "zeros",
]
