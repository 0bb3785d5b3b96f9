"""LSQR: least squares by the bidiagonalisation of Golub and Kahan.

With ``beta_1 u_1 = r`` and ``alpha_1 v_1 = A.H u_1``, the bidiagonalisation goes on by::

    beta_{k+1} u_{k+1} = A v_k - alpha_k u_k           alpha_{k+1} v_{k+1} = A.H u_{k+1} - beta_{k+1} v_k

so ``A V_k = U_{k+1} B_k`` with the alphas on the diagonal of B_k and the betas below it. The iterate is ``V_k y``, y
minimising ``|B_k y - beta_1 e_1|``, by one plane rotation for each step.

With a preconditioner M, the inner product of X is ``<x, M^-1 y>``: for it, the adjoint of A is ``M A.H``. The
recurrence keeps ``M^-1 v`` beside v, so that M is applied once a step, and its inverse never.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.solve.loop import Callback, Settings, Step, Steps, least_squares, normalised, preconditioned
from linop.solve.result import Result
from linop.solve.scalars import Number, broken, hypot, ratio


@checked
def lsqr(
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
    """Minimise ``|A x - b|^2 + damp^2 |L x|^2`` in the norms of the two spaces, by LSQR.

    The residual decreases from step to step. A need not be square, nor of full rank.

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
        ``tolerance |A| |r|`` (with the largest ``|A v_k|`` seen for ``|A|``). With damping, r is
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
    Paige and Saunders, LSQR: an algorithm for sparse linear equations and sparse least squares, ACM Trans. Math. Softw.
    8 (1982) 43; Golub and Kahan, SIAM J. Numer. Anal. B 2 (1965) 205.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Matrix
    >>> result = lsqr(Matrix([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 2.0, 6.0]))
    >>> result.x.round(6).tolist(), round(result.residuals[-1], 6)
    ([2.0, 3.0], 1.732051)
    """
    settings = Settings(
        "lsqr",
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


def bidiagonalise(
    A: LinearOperator, r: Vector, M: LinearOperator | None = None
) -> Iterator[tuple[Number, Number, Vector]]:
    """Yield ``beta_k, alpha_k, v_k`` for k = 1, 2, ...; see the module."""
    X, Y, adjoint = A.domain, A.codomain, A.H
    beta, u = normalised(Y, r)
    alpha, p, v = preconditioned(X, M, adjoint(u))  # v = M p
    while True:
        yield beta, alpha, v
        beta, u = normalised(Y, arrays.axpy(-alpha, u, A(v)))
        alpha, p, v = preconditioned(X, M, arrays.axpy(-beta, p, adjoint(u)))


def _recurrence(A: LinearOperator, x: Vector, r: Vector, M: LinearOperator | None = None) -> Steps:
    bidiagonal = bidiagonalise(A, r, M)
    beta, alpha, v = next(bidiagonal)
    w, phi_bar, rho_bar, normal = v, beta, alpha, beta * alpha
    yield Step(x, phi_bar, normal, alpha)
    while True:
        norm = alpha
        beta, alpha, v = next(bidiagonal)
        norm = hypot(norm, beta)  # |A v_k|
        rho = hypot(rho_bar, beta)
        if broken(rho == 0, normal > 0):
            return "breakdown: the bidiagonal matrix is singular"
        c, s = ratio(rho_bar, rho), ratio(beta, rho) + (rho == 0)  # of what is solved, the residual stays
        theta, rho_bar = s * alpha, -c * alpha
        phi, phi_bar = c * phi_bar, s * phi_bar
        x = arrays.axpy(ratio(phi, rho), w, x)
        w = arrays.axpy(-ratio(theta, rho), w, v)
        normal = phi_bar * alpha * abs(c)
        yield Step(x, phi_bar, normal, norm)
