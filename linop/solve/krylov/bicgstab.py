"""BiCGSTAB: any square operator, in a memory that does not grow.

With a fixed vector r' (the first residual), from p = r::

    q = A M p     alpha = <r', r> / <r', q>     s = r - alpha q
    t = A M s     omega = <t, s> / <t, t>       x <- x + M (alpha p + omega s)      r_new = s - omega t
    beta = <r', r_new> / <r', r> * alpha / omega                                    p <- r_new + beta (p - omega q)

M is a preconditioner on the right, so that residuals are those of ``A x = b``.
"""

from __future__ import annotations

from functools import partial

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.solve.loop import Callback, Settings, Step, Steps, solve
from linop.solve.result import Result
from linop.solve.scalars import broken, ratio


@checked
def bicgstab(
    A: LinearOperator,
    b: Vector,
    *,
    x0: Vector | None = None,
    preconditioner: LinearOperator | None = None,
    tolerance: Nonnegative = 1e-8,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Solve ``A x = b`` by BiCGSTAB, for any A from a space to itself; each step applies A twice.

    It keeps seven vectors, and may break down, or converge in leaps; `gmres` does neither, and needs more memory.

    Parameters
    ----------
    A, b, x0, preconditioner, tolerance, absolute, iterations, callback, progress
        As for `gmres`.

    Returns
    -------
    Result
        Its residuals are the norms of ``b - A x``.

    Raises
    ------
    SpaceError
        When A does not map a space to itself, or a vector is none of that space.
    ValueError
        When a tolerance or the number of iterations is none.

    References
    ----------
    van der Vorst, Bi-CGSTAB: a fast and smoothly converging variant of Bi-CG for the solution of nonsymmetric linear
    systems, SIAM J. Sci. Stat. Comput. 13 (1992) 631.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Matrix
    >>> bicgstab(Matrix([[1.0, 2.0], [-1.0, 1.0]]), np.array([5.0, 1.0])).x.round(6).tolist()
    [1.0, 2.0]
    """
    settings = Settings(
        "bicgstab",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        preconditioner=preconditioner,
        options=(x0 is None,),
    )
    settings.require_square()
    b, x0 = settings.vectors(b, x0)
    return solve(partial(_recurrence, M=preconditioner), A, b, x0, settings)


def _recurrence(A: LinearOperator, x: Vector, r: Vector, M: LinearOperator | None) -> Steps:
    X = A.domain
    shadow = p = arrays.copy(r)
    size = X.norm(r)
    rho = X.inner(shadow, r)
    yield Step(x, size)
    while True:
        p_hat = p if M is None else M(p)
        q = A(p_hat)
        overlap = X.inner(shadow, q)
        if broken(overlap == 0, size > 0):
            return "breakdown: inner(r', A p) = 0"
        alpha = ratio(rho, overlap)
        s = arrays.axpy(-alpha, q, r)
        s_hat = s if M is None else M(s)
        t = A(s_hat)
        length = X.inner(t, t).real
        omega = ratio(X.inner(t, s), length)
        x = arrays.axpy(omega, s_hat, arrays.axpy(alpha, p_hat, x))
        r = arrays.axpy(-omega, t, s)
        size = X.norm(r)
        yield Step(x, size)
        rho, before = X.inner(shadow, r), rho
        if broken(rho == 0, size > 0):
            return "breakdown: inner(r', r) = 0"
        if broken(omega == 0, size > 0):
            return "breakdown: inner(A s, s) = 0"
        beta = ratio(rho, before) * ratio(alpha, omega)
        p = arrays.axpy(beta, arrays.axpy(-omega, q, p), r)
