"""LSMR: least squares by the bidiagonalisation of Golub and Kahan, with A.H r decreasing from step to step.

`bidiagonalise` (in lsqr.py) gives ``A V_k = U_{k+1} B_k``. The iterate is ``V_k y`` with y minimising ``|A.H r|``,
that is ``|beta_1 alpha_1 e_1 - (B_k^T B_k; alpha_{k+1} beta_{k+1} e_k^T) y|``. Two QR factorisations solve that,
each by one plane rotation for each step: ``Q B_k = R`` (c, s, rho, theta), then ``Q_bar R^T = R_bar`` (c_bar, s_bar,
rho_bar, theta_bar). The norm of r itself needs a third one, of R_bar^T (those with a tilde).
"""

from __future__ import annotations

from functools import partial

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.solve.krylov.lsqr import bidiagonalise
from linop.solve.loop import Callback, Settings, Step, Steps, least_squares
from linop.solve.result import Result
from linop.solve.scalars import Number, broken, hypot, ratio


@checked
def lsmr(
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
    """Minimise ``|A x - b|^2 + damp^2 |L x|^2`` in the norms of the two spaces, by LSMR.

    It is MINRES for the normal equations: ``|A.H r|`` decreases from step to step (and the residual r, too), which
    makes it safe to stop early.

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
    Fong and Saunders, LSMR: an iterative algorithm for sparse least-squares problems, SIAM J. Sci. Comput. 33 (2011)
    2950.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Matrix
    >>> lsmr(Matrix([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 2.0, 6.0])).x.round(6).tolist()
    [2.0, 3.0]
    """
    settings = Settings(
        "lsmr",
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
    bidiagonal = bidiagonalise(A, r, M)
    beta, alpha, v = next(bidiagonal)
    yield Step(x, beta, alpha * beta, alpha)
    h, h_bar = v, arrays.scale(0.0, v)
    alpha_bar, zeta_bar, rho, rho_bar, c_bar, s_bar = alpha, alpha * beta, 1.0, 1.0, 1.0, 0.0
    length = _Length(beta)
    while True:
        norm = alpha
        beta, alpha, v = next(bidiagonal)
        norm = hypot(norm, beta)  # |A v_k|

        rho_before, rho = rho, hypot(alpha_bar, beta)
        if broken(rho == 0, zeta_bar != 0):
            return "breakdown: the bidiagonal matrix is singular"
        c, s = ratio(alpha_bar, rho), ratio(beta, rho) + (rho == 0)  # of what is solved, the residual stays
        theta, alpha_bar = s * alpha, c * alpha

        theta_bar, rho_bar_before, rho_bar = s_bar * rho, rho_bar, hypot(c_bar * rho, theta)
        if broken(rho_bar == 0, zeta_bar != 0):
            return "breakdown: the bidiagonal matrix is singular"
        c_bar, s_bar = ratio(c_bar * rho, rho_bar), ratio(theta, rho_bar)
        zeta, zeta_bar = c_bar * zeta_bar, -s_bar * zeta_bar

        h_bar = arrays.axpy(-ratio(theta_bar, rho_before) * ratio(rho, rho_bar_before), h_bar, h)
        x = arrays.axpy(ratio(ratio(zeta, rho), rho_bar), h_bar, x)
        h = arrays.axpy(-ratio(theta, rho), h, v)
        yield Step(x, length.after(c, s, theta_bar, rho_bar, zeta), abs(zeta_bar), norm)


class _Length:
    """The norm of r, from a third factorisation by plane rotations; Fong and Saunders, section 3.2.

    In the basis U, the residual is ``beta_1 e_1 - B_k y``. Rotations take it to ``(b_tilde - t_tilde, b_dot - t_dot,
    b_last)`` with a first part of zeros, so that two numbers are left.
    """

    def __init__(self, beta: Number) -> None:
        self.b_last, self.b_dot, self.rho_dot = beta, 0.0, 1.0
        self.theta_tilde, self.tau_tilde, self.zeta = 0.0, 0.0, 0.0

    def after(self, c: Number, s: Number, theta_bar: Number, rho_bar: Number, zeta: Number) -> Number:
        """Return the norm after a step with these rotations."""
        b_hat, self.b_last = c * self.b_last, -s * self.b_last
        rho_tilde = hypot(self.rho_dot, theta_bar)
        c_tilde, s_tilde = ratio(self.rho_dot, rho_tilde), ratio(theta_bar, rho_tilde)
        self.tau_tilde = ratio(self.zeta - self.theta_tilde * self.tau_tilde, rho_tilde)
        self.theta_tilde, self.rho_dot = s_tilde * rho_bar, c_tilde * rho_bar
        self.b_dot = c_tilde * b_hat - s_tilde * self.b_dot
        self.zeta = zeta
        tau_dot = ratio(zeta - self.theta_tilde * self.tau_tilde, self.rho_dot)
        return hypot(self.b_dot - tau_dot, self.b_last)
