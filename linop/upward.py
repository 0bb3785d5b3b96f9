"""Calls from a lower layer to a higher one: single-dispatch functions, for which the higher layer registers its own.

==================  ==========================================  ============================
function            called by                                   registered by
==================  ==========================================  ============================
`riesz`             `Space.riesz`, `Space.riesz_inverse`        `linop.core.riesz`
`element`           `Space.element`                             `linop.spaces.element`
`inverse_weight`    `Weighted`                                  `linop.solve.inverse`
`iterative`         `linop.inverse`                             `linop.solve.inverse`
`inverse`           `LinearOperator.__pow__`                    `linop.queries.inverse`
`notebook`          `LinearOperator._repr_mimebundle_`          `linop.show.display`
==================  ==========================================  ============================

Without them, the files on the left would import those on the right, which import them.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any


@singledispatch
def riesz(space: object, *, inverse: bool) -> Any:
    """Return the Riesz map of a space, or its inverse."""
    raise NotImplementedError(f"no Riesz map is registered for {type(space).__name__}")


@singledispatch
def element(space: object, x: object) -> Any:
    """Return a vector of a space as an element."""
    raise NotImplementedError(f"no element is registered for {type(space).__name__}")


@singledispatch
def inverse_weight(weight: object) -> Any:  # noqa: ARG001
    """Return the inverse of an operator that is a weight, hence positive; None of what is no operator."""
    return None


@singledispatch
def iterative(operator: object) -> Any:
    """Return the inverse of an operator without a known structure."""
    raise NotImplementedError(f"no iterative inverse is registered for {type(operator).__name__}")


@singledispatch
def inverse(operator: object) -> Any:
    """Return the inverse of an operator."""
    raise NotImplementedError(f"no inverse is registered for {type(operator).__name__}")


@singledispatch
def notebook(operator: object) -> Any:
    """Return what a notebook shows of an operator, by media type."""
    raise NotImplementedError(f"no display is registered for {type(operator).__name__}")
