"""LSQR: least squares by the bidiagonalisation of Golub and Kahan.

With ``beta_1 u_1 = r`` and ``alpha_1 v_1 = A.H u_1``, the bidiagonalisation goes on by::

    beta_{k+1} u_{k+1} = A v_k - alpha_k u_k           alpha_{k+1} v_{k+1} = A.H u_{k+1} - beta_{k+1} v_k

so ``A V_k = U_{k+1} B_k`` with the alphas on the diagonal of B_k and the betas below it. The iterate is ``V_k y``, y
minimising ``|B_k y - beta_1 e_1|``, by one plane rotation for each step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.operator import LinearOperator
from linop.solve.loop import Callback, Settings, Step, Steps, least_squares, normalised
from linop.solve.result import Result


@checked
def lsqr(
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
    """Minimise ``|A x - b|^2 + damp^2 |x|^2`` in the norms of the two spaces, by LSQR.

    The residual decreases from step to step. A need not be square, nor of full rank.

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
        ``tolerance |A| |r|`` (with the largest ``|A v_k|`` seen for ``|A|``). With damping, r is
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
    settings = Settings("lsqr", A, tolerance, absolute, iterations, callback, progress, options=(x0 is None, damp))
    return least_squares(_recurrence, b, x0, damp, settings)


def bidiagonalise(A: LinearOperator, r: Vector) -> Iterator[tuple[float, float, Vector]]:
    """Yield ``beta_k, alpha_k, v_k`` for k = 1, 2, ...; see the module."""
    X, Y, adjoint = A.domain, A.codomain, A.H
    beta, u = normalised(Y, r)
    alpha, v = normalised(X, adjoint(u))
    while True:
        yield beta, alpha, v
        beta, u = normalised(Y, arrays.axpy(-alpha, u, A(v)))
        alpha, v = normalised(X, arrays.axpy(-beta, v, adjoint(u)))


def _recurrence(A: LinearOperator, x: Vector, r: Vector) -> Steps:
    bidiagonal = bidiagonalise(A, r)
    beta, alpha, v = next(bidiagonal)
    w, phi_bar, rho_bar = v, beta, alpha
    yield Step(x, phi_bar, phi_bar * alpha, alpha)
    while True:
        norm = alpha
        beta, alpha, v = next(bidiagonal)
        norm = math.hypot(norm, beta)  # |A v_k|
        rho = math.hypot(rho_bar, beta)
        if rho == 0:
            return "breakdown: the bidiagonal matrix is singular"
        c, s = rho_bar / rho, beta / rho
        theta, rho_bar = s * alpha, -c * alpha
        phi, phi_bar = c * phi_bar, s * phi_bar
        x = arrays.axpy(phi / rho, w, x)
        w = arrays.axpy(-theta / rho, w, v)
        yield Step(x, phi_bar, phi_bar * alpha * abs(c), norm)
