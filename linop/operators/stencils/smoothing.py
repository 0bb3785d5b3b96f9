"""Running means.

=========  ==========================================
map        the mean of the entries around entry i, so many along each axis
adjoint    that of ``Correlation(1 / n) @ Padding``
matrix     banded, with rows of 1 / n; next to its ends, what the boundary says
=========  ==========================================
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.axes import checked_axes
from linop.operators.indexing.padding import Padding
from linop.operators.stencils.correlation import Correlation
from linop.operators.stencils.finite_difference import Boundary
from linop.spaces import Space


@checked
def Smoothing(
    domain: Space, width: int | Sequence[int], axes: int | Sequence[int] | None = None, *, boundary: Boundary = "edge"
) -> LinearOperator:
    """Return the running mean over a window: ``Correlation(1 / n) @ Padding``.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more.
    width : int or sequence of int
        How many entries the window has along each axis, an odd number: one for all, or one for each.
    axes : int or sequence of int, optional
        Along which; all by default.
    boundary : {"edge", "zero", "periodic", "reflect"}, optional
        What is found beyond the ends: the entry at the end, nothing, the array again, or its mirror image.

    Returns
    -------
    LinearOperator
        Its results have the shape of x.

    Raises
    ------
    SpaceError
        When an axis does not exist, a width is no odd number, or the boundary is none of the above.

    Examples
    --------
    >>> from linop import Euclidean
    >>> Smoothing(Euclidean(5), 3)(np.array([0.0, 0.0, 3.0, 0.0, 0.0])).tolist()
    [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    size = window_of("Smoothing", domain, width, axes, boundary)
    padding = Padding(domain, [(n // 2, n // 2) for n in size], boundary=boundary)
    ones = Correlation(padding.codomain, np.ones(size), codomain=domain)
    return (1 / math.prod(size)) * ones @ padding


def window_of(
    name: str, domain: Space, width: int | Sequence[int], axes: int | Sequence[int] | None, boundary: str
) -> tuple[int, ...]:
    """Return the width of a window along every axis; raise where the arguments do not fit."""
    along = checked_axes(name, domain, axes)
    try:
        widths = [operator.index(width)] * len(along)  # type: ignore[arg-type]
    except TypeError:
        try:
            widths = [operator.index(number) for number in width]  # type: ignore[union-attr]
        except TypeError:
            widths = []
    if not along or len(widths) != len(along) or any(number < 1 or number % 2 == 0 for number in widths):
        raise SpaceError(f"{name} on {domain}: expected an odd width, or one for each of axes {along}, found {width!r}")
    if boundary not in ("edge", "zero", "periodic", "reflect"):
        raise SpaceError(f"{name} on {domain}: boundary is 'edge', 'zero', 'periodic' or 'reflect', found {boundary!r}")
    chosen = dict(zip(along, widths, strict=True))
    return tuple(chosen.get(axis, 1) for axis in range(domain.ndim))
