"""Projections onto convex sets that couple entries: a simplex, balls, the solutions of linear equations.

A projection is the proximal map of an indicator function. Sums over entries are inner products with the vector of ones,
so that they run over all processes that hold parts of a vector, and have its weights, where these are diagonal.
"""

from __future__ import annotations

import math

from linop import arrays
from linop.arguments import Nonnegative
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError
from linop.solve.krylov.lsqr import lsqr
from linop.solve.proximal.elementary import Proximal, proximal
from linop.spaces import Space

NEWTON = 200
"""How many steps to take at most; each one leaves out entries, and a few are enough."""


@proximal
def simplex(space: Space, total: Nonnegative = 1.0) -> Proximal:
    """Return the projection onto the vectors without negative entries whose sum ``inner(1, x)`` is `total`.

    It is ``max(x - t, 0)``; t follows by Newton's method, which takes a finite number of steps, as the sum is convex
    and piecewise linear in t.

    Parameters
    ----------
    space : Space
        Of real vectors; the weights, if there are any, are diagonal.
    total : float, optional
        Zero or more.

    References
    ----------
    Michelot, A finite algorithm for finding the projection of a point onto the canonical simplex of R^n, J. Optim.
    Theory Appl. 50 (1986) 195.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> simplex(Euclidean(3))(np.array([0.5, 1.0, -2.0]), 1.0).tolist()
    [0.25, 0.75, 0.0]
    """
    if space.field != "real" or space.dtype.kind == "c":
        raise ArgumentError(f"simplex on {space}: expected a space of real vectors")

    def project(x: Vector, step: float) -> Vector:  # noqa: ARG001  (a projection is the same for every step)
        return _lowered(x, _threshold(space, x, total))

    return project


@proximal
def l1_ball(space: Space, radius: Nonnegative) -> Proximal:
    """Return the projection onto the vectors whose sum of moduli, ``inner(1, |x|)``, is at most `radius`.

    Parameters
    ----------
    space : Space
        The weights, if there are any, are diagonal.
    radius : float
        Zero or more.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> l1_ball(Euclidean(3), 2.0)(np.array([2.0, -1.0, 0.1]), 1.0).tolist()
    [1.5, -0.5, 0.0]
    """

    def project(x: Vector, step: float) -> Vector:  # noqa: ARG001
        moduli = arrays.each(lambda part: arrays.namespace(part).abs(part), x)
        if space.inner(_ones(moduli), moduli).real <= radius:
            return arrays.copy(x)
        shrunk = _lowered(moduli, _threshold(space, moduli, radius))
        return arrays.each(lambda part, old, new: part * _ratio(new, old), x, moduli, shrunk)

    return project


@proximal
def affine(A: LinearOperator, b: Vector, *, tolerance: Nonnegative = 1e-12) -> Proximal:
    """Return the projection onto the solutions of ``A x = b``: the nearest one, in the norm of the domain.

    It adds the solution of least norm of ``A d = b - A x``, which `lsqr` finds. Where the equations have no solution,
    the least-squares solutions take their place.

    Parameters
    ----------
    A : LinearOperator
        Any.
    b : vector of its codomain
        The right-hand side.
    tolerance : float, optional
        That of `lsqr`.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Matrix
    >>> affine(Matrix([[1.0, 1.0]]), np.array([4.0]))(np.array([1.0, 0.0]), 1.0).round(6).tolist()
    [2.5, 1.5]
    """
    A.codomain.check(b, A)

    def project(x: Vector, step: float) -> Vector:  # noqa: ARG001
        correction = lsqr(A, arrays.axpy(-1.0, A(x), b), tolerance=tolerance)
        return arrays.axpy(1.0, correction.x, x)

    return project


def _threshold(space: Space, x: Vector, total: float) -> float:
    """Return the t for which ``inner(1, max(x - t, 0))`` is a number."""
    one = _ones(x)
    active, t = one, -math.inf
    for _ in range(NEWTON):
        count = space.inner(one, active).real
        if count == 0:  # a total of zero: nothing stays
            return t
        after = (space.inner(active, x).real - total) / count
        if not after > t:
            return t
        t = after
        active = arrays.each(lambda part, t=t: arrays.namespace(part).astype(part > t, part.dtype), x)
    return t


def _lowered(x: Vector, t: float) -> Vector:
    """Return ``max(x - t, 0)``."""

    def lower(part: Array) -> Array:
        xp = arrays.namespace(part)
        return xp.where(part > t, part - t, xp.zeros_like(part))

    return arrays.each(lower, x)


def _ones(x: Vector) -> Vector:
    """Return ones, in the shape, library and precision of a vector."""
    return arrays.each(lambda part: arrays.namespace(part).ones_like(part), x)


def _ratio(a: Array, b: Array) -> Array:
    """Return ``a / b``, zero where b is zero."""
    xp = arrays.namespace(b)
    return a / xp.where(b == 0, xp.ones_like(b), b)
