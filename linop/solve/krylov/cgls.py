"""Conjugate gradients for least squares.

Those of the normal equations ``A.H A x = A.H b``, but with r = b - A x at hand, so that nothing is squared twice::

    q = A p     alpha = |s|^2 / |q|^2     x <- x + alpha p     r <- r - alpha q
    s_new = A.H r       beta = |s_new|^2 / |s|^2       p <- s_new + beta p

Afterwards r is orthogonal to q, so that |r|^2 falls by alpha |s|^2: two inner products a step are enough.
"""

from __future__ import annotations

from functools import partial

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.solve.loop import Callback, Settings, Step, Steps, least_squares, require_positive
from linop.solve.result import Result
from linop.solve.scalars import Number, broken, every, ratio, sqrt


@checked
def cgls(
    A: LinearOperator,
    b: Vector,
    *,
    x0: Vector | None = None,
    preconditioner: LinearOperator | None = None,
    damp: Nonnegative = 0.0,
    regulariser: LinearOperator | None = None,
    tolerance: Nonnegative = 1e-8,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Minimise ``|A x - b|^2 + damp^2 |L x|^2`` in the norms of the two spaces, by conjugate gradients.

    The simplest of the three solvers for least squares; in exact arithmetic its iterates are those of `lsqr`, which
    is the more accurate one for ill-conditioned A.

    Parameters
    ----------
    A : LinearOperator
        From X to Y, of any shape and rank.
    b : vector of Y
        The right-hand side, or a batch of them, which are solved together, each with steps of its own; the tolerance
        holds for each. The iterates are in its library and precision.
    x0 : vector of X, optional
        Where to start; zero by default. From zero, the solution of least norm is found.
    damp : float, optional
        Weight of the damping.
    regulariser : LinearOperator, optional
        L, from X to any space: the identity by default, a gradient for solutions that are smooth.
    preconditioner : LinearOperator, optional
        M, from the domain to itself, self-adjoint and positive with respect to `Space.inner`; the nearer to the inverse
        of ``A.H A``, the fewer steps. For least squares, M is another inner product of X, ``<x, M^-1 y>``: a residual
        of the normal equations is measured in its norm, and of several solutions the one of least length in it is
        found.
    tolerance, absolute : float, optional
        Stop where the residual r is at most ``tolerance |b|``, or at most ``absolute``, or where ``|A.H r|`` is at most
        ``tolerance |A| |r|`` (with the largest ``|A p| / |p|`` seen for ``|A|``). With damping, r is
        ``(b - A x, -damp L x)``, and ``|A|`` that of the operator ``x -> (A x, damp L x)``.
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
    settings = Settings(
        "cgls",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        preconditioner=preconditioner,
        options=(x0 is None, damp, regulariser is None),
    )
    return least_squares(partial(_recurrence, M=preconditioner), b, x0, damp, settings, regulariser)


def _recurrence(A: LinearOperator, x: Vector, r: Vector, M: LinearOperator | None = None) -> Steps:
    X, Y, adjoint = A.domain, A.codomain, A.H

    def descent(r: Vector) -> tuple[Vector, Number]:
        """Return the adjoint of A at r, and its squared length, for the inner product that M makes."""
        s = adjoint(r)
        if M is None:
            return s, X.inner(s, s).real
        z = M(s)
        squared = X.inner(s, z).real
        require_positive(squared)
        return z, squared

    s, squared = descent(r)
    length = squared  # |p|^2, for A.H r is orthogonal to the directions before it
    p = arrays.copy(s)
    misfit = last = Y.inner(r, r).real  # |r|^2, and what it was when it was computed
    digits = arrays.precision(r) ** 0.25
    yield Step(x, sqrt(misfit), sqrt(squared))
    while True:
        q = A(p)
        image = Y.inner(q, q).real
        if broken(image <= 0, squared > 0):
            return "breakdown: A p = 0 for a direction p that is not zero"
        alpha = ratio(squared, image)
        x = arrays.axpy(alpha, p, x)
        r = arrays.axpy(-alpha, q, r, spent="y")
        before = squared
        s, squared = descent(r)
        misfit = misfit - alpha * before
        if not every(misfit >= digits * last):  # too many digits have cancelled
            misfit = last = Y.inner(r, r).real
        yield Step(x, sqrt(misfit), sqrt(squared), sqrt(ratio(image, length)))
        beta = ratio(squared, before)
        p = arrays.axpy(beta, p, s, spent="x")
        length = squared + beta * beta * length
