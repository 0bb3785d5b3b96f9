"""Derivatives by finite differences.

=========  =====================================================================================
map        ``y_i = h^-n sum_k c_k x_(i + k)``, n the order of the derivative, h the spacing
adjoint    that of ``h^-n Correlation(c) @ Padding``: ``Padding* @ (h^-n Correlation(c)*)``
matrix     banded Toeplitz along the axis; next to its ends, what the boundary says
=========  =====================================================================================

A forward difference is ``x_(i+1) - x_i``; its n-th power has the binomial coefficients with alternating signs over the
offsets 0 .. n. A backward difference is the same, n entries earlier. A central one is the same again, n/2 earlier,
where n is even; where it is odd, it is the one of order n - 1 followed by ``(x_(i+1) - x_(i-1)) / 2``.
"""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Literal

import numpy as np

from linop.arguments import checked
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.indexing.padding import Padding
from linop.operators.stencils.correlation import Correlation
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain

Scheme = Literal["forward", "backward", "central"]
Boundary = Literal["valid", "zero", "periodic", "reflect", "edge"]


@checked
def FiniteDifference(
    domain: Space,
    axis: int = -1,
    *,
    order: int = 1,
    scheme: Scheme = "forward",
    boundary: Boundary = "valid",
    spacing: float = 1.0,
    codomain: Space | None = None,
) -> LinearOperator:
    """Return the derivative along an axis by finite differences: ``spacing^-order * Correlation(stencil) @ Padding``.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more.
    axis : int, optional
        Along which to differentiate; negative ones count from the last.
    order : int, optional
        Of the derivative, one or more.
    scheme : {"forward", "backward", "central"}, optional
        Which entries stand for the derivative at entry i: ``i .. i + order``, ``i - order .. i``, or equally many on
        both sides. The error is of first order in the spacing; of second order, where the scheme is central.
    boundary : {"valid", "zero", "periodic", "reflect", "edge"}, optional
        What is found beyond the ends of the axis. ``"valid"``: nothing; the result is that many entries shorter. Else
        it has the shape of x, which is continued by zeros, periodically, by its mirror image without the entry at the
        end, or by the entry at the end; see `Padding`.
    spacing : float, optional
        Distance between neighbours, in the unit of the axis; positive.
    codomain : Space, optional
        Arrays of the result's shape; the domain where that is its shape, else Euclidean, by default.

    Returns
    -------
    LinearOperator

    Raises
    ------
    SpaceError
        When the axis does not exist or is shorter than the stencil reaches, or a parameter is none of the above.

    Notes
    -----
    The stencils and their errors: R. J. LeVeque, *Finite Difference Methods for Ordinary and Partial Differential
    Equations*, SIAM 2007, chapter 1.

    Examples
    --------
    >>> from linop import Euclidean
    >>> squares = np.arange(5.0) ** 2
    >>> D = FiniteDifference(Euclidean(5))
    >>> print(D, D(squares))
    Correlation(2) [1. 3. 5. 7.]
    >>> FiniteDifference(Euclidean(5), scheme="central", spacing=0.5)(squares).tolist()
    [4.0, 8.0, 12.0]
    >>> FiniteDifference(Euclidean(5), order=2, scheme="central", boundary="zero")(squares).tolist()
    [1.0, 2.0, 2.0, 2.0, -23.0]
    """
    require_arrays("FiniteDifference", domain)
    axis = _checked_axis(domain, axis)
    order = _checked_order(domain, order)
    scale = _scale(domain, spacing, order)
    stencil, below = _stencil(domain, scheme, order)
    reach = len(stencil) - 1
    shape = list(domain.shape)
    if boundary == "valid":
        shape[axis] -= reach
        if shape[axis] < 0:
            raise SpaceError(
                f"FiniteDifference on {domain}: the stencil reaches over {reach} steps, found {domain.shape[axis]} "
                f"entries along axis {axis}"
            )
        padding: LinearOperator = Identity(domain)
    elif boundary in ("zero", "periodic", "reflect", "edge"):
        width = [(below, reach - below) if k == axis else (0, 0) for k in range(domain.ndim)]
        padding = Padding(domain, width, boundary=boundary)
    else:
        raise SpaceError(
            f"FiniteDifference on {domain}: boundary is 'valid', 'zero', 'periodic', 'reflect' or 'edge', "
            f"found {boundary!r}"
        )
    codomain = resolve_codomain("FiniteDifference", domain, codomain, tuple(shape))
    kernel = np.expand_dims(stencil, tuple(k for k in range(domain.ndim) if k != axis))
    return scale * Correlation(padding.codomain, kernel, codomain=codomain) @ padding


def _stencil(domain: Space, scheme: Scheme, order: int) -> tuple[np.ndarray, int]:
    """Return the weights of neighbouring entries at spacing one, and how many of them come before entry i."""
    binomial = _binomial(order)
    if scheme == "forward":
        return binomial, 0
    if scheme == "backward":
        return binomial, order
    if scheme != "central":
        raise SpaceError(
            f"FiniteDifference on {domain}: scheme is 'forward', 'backward' or 'central', found {scheme!r}"
        )
    if order % 2:
        return np.convolve(_binomial(order - 1), [-0.5, 0.0, 0.5]), (order + 1) // 2
    return binomial, order // 2


def _binomial(order: int) -> np.ndarray:
    """Return the coefficients of ``(t - 1)^order``, the constant one first."""
    return np.array([(-1.0) ** (order - k) * math.comb(order, k) for k in range(order + 1)])


def _checked_axis(domain: Space, axis: int) -> int:
    """Return an axis counted from the first, or raise."""
    try:
        found = operator.index(axis)
    except TypeError:
        found = domain.ndim
    if not -domain.ndim <= found < domain.ndim:
        raise SpaceError(f"FiniteDifference on {domain}: expected one of its {domain.ndim} axes, found {axis!r}")
    return found % domain.ndim


def _checked_order(domain: Space, order: int) -> int:
    """Return the order of a derivative, or raise."""
    try:
        found = operator.index(order)
    except TypeError:
        found = 0
    if found < 1:
        raise SpaceError(
            f"FiniteDifference on {domain}: expected an order that is an integer, one or more, found {order!r}"
        )
    return found


def _scale(domain: Space, spacing: float, order: int) -> float:
    """Return ``spacing^-order``, or raise where it is no positive number."""
    try:
        scale = float(spacing) ** -order if isinstance(spacing, Real) and spacing > 0 else 0.0
    except OverflowError:
        scale = math.inf
    if not 0 < scale < math.inf:
        raise SpaceError(
            f"FiniteDifference on {domain}: expected a spacing that is positive and finite, and so is its power "
            f"{-order}, found {spacing!r}"
        )
    return scale
