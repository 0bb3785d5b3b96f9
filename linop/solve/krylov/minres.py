"""MINRES: self-adjoint equations, definite or not, by the tridiagonalisation of Lanczos.

With ``beta_1 v_1 = r``, orthonormal vectors follow from three terms::

    beta_{k+1} v_{k+1} = A v_k - alpha_k v_k - beta_k v_{k-1}        alpha_k = <v_k, A v_k>

so ``A V_k = V_{k+1} T_k``, T_k tridiagonal. The iterate is ``V_k y`` with y minimising ``|T_k y - beta_1 e_1|``, the
norm of the residual. Reflections make T_k triangular: column k, with entries beta_k, alpha_k, beta_{k+1}, meets those
of the two columns before, and then its own::

    (epsilon, delta', .)    from (0, beta_k)         by (c, s) of column k - 2
    (delta, gamma')         from (delta', alpha_k)   by (c, s) of column k - 1
    (gamma, 0)              from (gamma', beta_{k+1})
"""

from __future__ import annotations

from functools import partial

from linop import arrays
from linop.arguments import Finite, Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.solve.loop import Callback, Settings, Step, Steps, preconditioned, solve
from linop.solve.result import Result
from linop.solve.scalars import Number, broken, hypot, ratio


@checked
def minres(
    A: LinearOperator,
    b: Vector,
    *,
    x0: Vector | None = None,
    preconditioner: LinearOperator | None = None,
    shift: Finite = 0.0,
    tolerance: Nonnegative = 1e-8,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Solve ``(A - shift) x = b`` by MINRES, for A self-adjoint with respect to `Space.inner`, definite or not.

    The residual decreases from step to step. Where the equation has no solution, a least-squares solution is found.

    Parameters
    ----------
    A : LinearOperator
        From a space to itself.
    b : vector of the space
        The right-hand side, or a batch of them, which are solved together, each with steps of its own; the tolerance
        holds for each. The iterates are in its library and precision.
    x0 : vector of the space, optional
        Where to start; zero by default.
    shift : float, optional
        A multiple of the identity is subtracted from A.
    preconditioner : LinearOperator, optional
        M, from the domain to itself, self-adjoint and positive with respect to `Space.inner`; the nearer to the inverse
        of ``|A|``, the fewer steps. Residuals and their tolerances are measured by ``sqrt(inner(r, M r))`` then, which
        the method makes least; read ``M A`` for A below.
    tolerance, absolute : float, optional
        Stop where the norm of the residual r is at most ``tolerance |b|``, or at most ``absolute``, or where ``|A r|``
        is at most ``tolerance |A| |r|`` (with the largest ``|A v_k|`` seen for ``|A|``; A is shifted).
    iterations : int, optional
        How many steps to take at most; ten for each coordinate, and at least a hundred, by default.
    callback : function, optional
        Called after each step with a `State`; stops the solver when it returns True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        Its residuals are the norms of ``r = b - (A - shift) x``; see `preconditioner`.

    Raises
    ------
    SpaceError
        When A does not map a space to itself, or a vector is none of that space.
    ValueError
        When a tolerance, the shift or the number of iterations is none.

    References
    ----------
    Paige and Saunders, Solution of sparse indefinite systems of linear equations, SIAM J. Numer. Anal. 12 (1975) 617.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Matrix
    >>> minres(Matrix([[0.0, 1.0], [1.0, 0.0]]), np.array([1.0, 2.0])).x.round(6).tolist()
    [2.0, 1.0]
    """
    settings = Settings(
        "minres",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        preconditioner=preconditioner,
        options=(x0 is None, shift),
    )
    settings.require_square()
    b, x0 = settings.vectors(b, x0)
    M = preconditioner

    def length(r: Vector) -> Number:
        return preconditioned(A.domain, M, r)[0]

    shifted = A if shift == 0 else A - shift * Identity(A.domain)
    return solve(partial(_recurrence, M=M), shifted, b, x0, settings, None if M is None else length)


def _recurrence(A: LinearOperator, x: Vector, r: Vector, M: LinearOperator | None = None) -> Steps:
    X = A.domain
    beta, p, v = preconditioned(X, M, r)  # v = M p
    p_before = w = w_before = arrays.scale(0.0, v)
    residual, c, s, c_before, s_before = beta, -1.0, 0.0, -1.0, 0.0
    beta = 0.0  # T has no entry above its first column
    while True:
        u = arrays.axpy(-beta, p_before, A(v))
        alpha = X.inner(v, u).real
        beta_before, (beta, p_next, v_next) = beta, preconditioned(X, M, arrays.axpy(-alpha, p, u))
        epsilon, delta = s_before * beta_before, -c_before * beta_before
        delta, gamma = c * delta + s * alpha, s * delta - c * alpha
        yield Step(x, residual, residual * hypot(gamma, c * beta), hypot(beta_before, alpha, beta))
        size = hypot(gamma, beta)
        if broken(size == 0, False):
            return "breakdown: the tridiagonal matrix is singular"
        c_before, s_before = c, s
        c, s = ratio(gamma, size), ratio(beta, size) + (size == 0)  # of what is solved, the residual stays
        w_before, w = w, arrays.scale(ratio(1.0, size), arrays.axpy(-delta, w, arrays.axpy(-epsilon, w_before, v)))
        x = arrays.axpy(c * residual, w, x)
        residual = residual * s
        p_before, p, v = p, p_next, v_next
