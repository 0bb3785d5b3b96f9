"""Conjugate gradients.

For A self-adjoint and positive with respect to ``X.inner``, the k-th iterate is the vector of the Krylov space
``x0 + span{r0, A r0, ..., A^(k-1) r0}`` that is nearest to the solution in the norm ``sqrt(inner(e, A e))``::

    alpha = <r, r> / <p, A p>       x <- x + alpha p       r <- r - alpha A p
    beta = <r_new, r_new> / <r, r>  p <- r_new + beta p

With a preconditioner M, read ``M r`` for r where directions are made, and ``<r, M r>`` for ``<r, r>``. That is the same
method for ``M A x = M b`` in the space with the inner product ``<x, M^-1 y>``, in which M A is self-adjoint; M^-1
cancels.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.solve.loop import Callback, Settings, Step, Steps, require_positive, solve
from linop.solve.result import Result
from linop.solve.scalars import Number, broken, ratio, sqrt


@checked
def cg(
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
    """Solve ``A x = b`` by conjugate gradients, for A self-adjoint and positive with respect to `Space.inner`.

    On a space that is spread over processes the call is collective.

    Parameters
    ----------
    A : LinearOperator
        From a space to itself.
    b : vector of the space
        The right-hand side, or a batch of them, which are solved together, each with steps of its own; the tolerance
        holds for each. The iterates are in its library and precision.
    x0 : vector of the space, optional
        Where to start; zero by default.
    preconditioner : LinearOperator, optional
        M, from the domain to itself, self-adjoint and positive with respect to `Space.inner`; the nearer to the inverse
        of A, the fewer steps. It changes the way, not the solution, nor what residuals mean.
    tolerance, absolute : float, optional
        Stop where the norm of ``b - A x`` is at most ``tolerance`` times that of b, or at most ``absolute``. In single
        precision, 1e-5 is about what can be reached.
    iterations : int, optional
        How many steps to take at most; ten for each coordinate, and at least a hundred, by default.
    callback : function, optional
        Called after each step with a `State`; stops the solver when it returns True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

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
    Hestenes and Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. NBS 49 (1952) 409.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Matrix
    >>> result = cg(Matrix([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0]))
    >>> result.x.round(4).tolist(), result.reason
    ([0.0909, 0.6364], 'the residual is below the tolerance')
    """
    settings = Settings(
        "cg",
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


def _recurrence(A: LinearOperator, x: Vector, r: Vector, M: LinearOperator | None = None) -> Steps:
    X = A.domain

    def directed(r: Vector) -> tuple[Vector, Number, Number]:
        """Return M r, ``<r, M r>`` and the norm of r."""
        if M is None:
            squared = X.inner(r, r).real
            return r, squared, sqrt(squared)
        z = M(r)
        squared = X.inner(r, z).real
        require_positive(squared)
        return z, squared, X.norm(r)

    z, squared, size = directed(r)
    p = arrays.copy(z)
    yield Step(x, size)
    while True:
        q = A(p)
        curvature = X.inner(p, q).real
        if broken(curvature <= 0, squared > 0):
            return f"breakdown: inner(p, A p) = {np.min(curvature):.1e}; the operator is not positive definite"
        alpha = ratio(squared, curvature)
        x = arrays.axpy(alpha, p, x)
        r = arrays.axpy(-alpha, q, r, spent="y")
        before = squared
        z, squared, size = directed(r)
        yield Step(x, size)
        p = arrays.axpy(ratio(squared, before), p, z, spent="x")
