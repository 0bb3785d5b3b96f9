"""Conjugate gradients for least squares.

Those of the normal equations ``A.H A x = A.H b``, but with r = b - A x at hand, so that nothing is squared twice::

    q = A p     alpha = |s|^2 / |q|^2     x <- x + alpha p     r <- r - alpha q
    s_new = A.H r       beta = |s_new|^2 / |s|^2       p <- s_new + beta p

Afterwards r is orthogonal to q, so that |r|^2 falls by alpha |s|^2: two inner products a step are enough.
"""

from __future__ import annotations

import math

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.operator import LinearOperator
from linop.solve.loop import Callback, Settings, Step, Steps, least_squares
from linop.solve.result import Result


@checked
def cgls(
    A: LinearOperator,
    b: Vector,
    *,
    x0: Vector | None = None,
    damp: Nonnegative = 0.0,
    tolerance: Nonnegative = 1e-8,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Minimise ``|A x - b|^2 + damp^2 |x|^2`` in the norms of the two spaces, by conjugate gradients.

    The simplest of the three solvers for least squares; in exact arithmetic its iterates are those of `lsqr`, which
    is the more accurate one for ill-conditioned A.

    Parameters
    ----------
    A : LinearOperator
        From X to Y, of any shape and rank.
    b : vector of Y
        The right-hand side; one vector, without batch axes. The iterates are in its library and precision.
    x0 : vector of X, optional
        Where to start; zero by default. From zero, the solution of least norm is found.
    damp : float, optional
        Weight of the damping.
    tolerance, absolute : float, optional
        Stop where the residual r is at most ``tolerance |b|``, or at most ``absolute``, or where ``|A.H r|`` is at most
        ``tolerance |A| |r|`` (with the largest ``|A p| / |p|`` seen for ``|A|``). With damping, r is
        ``(b - A x, -damp x)``, and ``|A|`` that of the operator ``x -> (A x, damp x)``.
    iterations : int, optional
        How many steps to take at most; ten for each coordinate of X, and at least a hundred, by default.
    callback : function, optional
        Called after each step with a `State`; stops the solver when it returns True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        Its residuals are the norms of r.

    Raises
    ------
    SpaceError
        When b or x0 is no vector of its space.
    ValueError
        When a tolerance, the damping or the number of iterations is none.

    References
    ----------
    Hestenes and Stiefel, J. Res. NBS 49 (1952) 409, section 10; Björck, Numerical Methods for Least Squares Problems
    (SIAM, 1996), section 7.4.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Matrix
    >>> cgls(Matrix([[1.0], [1.0]]), np.array([1.0, 3.0])).x.round(6).tolist()
    [2.0]
    """
    settings = Settings("cgls", A, tolerance, absolute, iterations, callback, progress, options=(x0 is None, damp))
    return least_squares(_recurrence, b, x0, damp, settings)


def _recurrence(A: LinearOperator, x: Vector, r: Vector) -> Steps:
    X, Y, adjoint = A.domain, A.codomain, A.H
    s = adjoint(r)
    squared = length = X.inner(s, s).real  # length: |p|^2, for A.H r is orthogonal to the directions before it
    p = arrays.copy(s)
    misfit = last = Y.inner(r, r).real  # |r|^2, and what it was when it was computed
    digits = arrays.precision(r) ** 0.25
    yield Step(x, math.sqrt(misfit), math.sqrt(squared))
    while True:
        q = A(p)
        image = Y.inner(q, q).real
        if image <= 0:
            return "breakdown: A p = 0 for a direction p that is not zero"
        alpha = squared / image
        x = arrays.axpy(alpha, p, x)
        r = arrays.axpy(-alpha, q, r, spent="y")
        s = adjoint(r)
        squared, before = X.inner(s, s).real, squared
        misfit -= alpha * before
        if not misfit >= digits * last:  # too many digits have cancelled
            misfit = last = Y.inner(r, r).real
        yield Step(x, math.sqrt(misfit), math.sqrt(squared), math.sqrt(image / length))
        beta = squared / before
        p = arrays.axpy(beta, p, s, spent="x")
        length = squared + beta * beta * length
