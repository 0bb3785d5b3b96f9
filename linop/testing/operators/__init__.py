"""Hypothesis strategies for each operator of the library, with its dense twin.

The twin is made without the operator: by NumPy or scipy, or from the formula that defines it, on one basis vector after
the other. Shapes are small, empty ones and arrays without axes among them; spaces have every dtype and field that the
operator takes.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from linop.testing.expressions import Expression
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

STRATEGIES: dict[str, Callable[[], st.SearchStrategy[Expression]]] = {
    "Circulant": circulants,
    "Conjugation": conjugations,
    "Convolution": convolutions,
    "Correlation": correlations,
    "CumulativeSum": cumulative_sums,
    "DCT": cosine_transforms,
    "Diagonal": diagonals,
    "DirectionalDerivative": directional_derivatives,
    "FFT": ffts,
    "FiniteDifference": finite_differences,
    "Flip": flips,
    "FractionalShift": fractional_shifts,
    "FunctionOperator": function_operators,
    "Functional": functionals,
    "Gradient": gradients,
    "IRFFT": irffts,
    "Identity": identities,
    "ImaginaryPart": imaginary_parts,
    "Interpolation": interpolations,
    "Laplacian": laplacians,
    "Matrix": matrices,
    "Mean": means,
    "NonStationaryConvolution": non_stationary_convolutions,
    "Outer": outers,
    "Padding": paddings,
    "Permute": permutes,
    "RFFT": rffts,
    "RealPart": real_parts,
    "Resampling": resamplings,
    "Reshape": reshapes,
    "Restriction": restrictions,
    "Roll": rolls,
    "Smoothing": smoothings,
    "SparseMatrix": sparse_matrices,
    "SumAxes": sums_over_axes,
    "Symmetrise": symmetrisations,
    "Toeplitz": toeplitz_operators,
    "Trace": traces,
    "Windows": windows,
    "Zero": zeros,
}
"""The strategy of each operator, by the operator's name in `linop`."""


def any_operator() -> st.SearchStrategy[Expression]:
    """Return all operators of the library, with their dense twins.

    Returns
    -------
    SearchStrategy of Expression
        Each is an operator on spaces without weights, and the matrix that it should have.

    Examples
    --------
    An expression of one's own is right for every operator that may stand in it:

    >>> import numpy as np
    >>> from hypothesis import HealthCheck, given, settings
    >>> few = {"max_examples": 5, "derandomize": True, "database": None, "deadline": None}
    >>> few["suppress_health_check"] = list(HealthCheck)  # here, the machine may be busy
    >>> from linop import VStack
    >>> from linop.testing import any_operator, assert_operator
    >>> @settings(**few)
    ... @given(any_operator())
    ... def test_normal_operators(expression):
    ...     A, twin = expression
    ...     assert_operator(VStack(A, 2 * A), np.concatenate([twin, 2 * twin]))
    >>> test_normal_operators()
    """
    return st.one_of([strategy() for strategy in STRATEGIES.values()])
