"""ISTA and FISTA: least squares with a second convex function that has a proximal map.

To minimise ``F(x) = |A x - b|^2 / 2 + g(x)``, a step goes down the gradient of the first part, then through the
proximal map of the second, ``prox(x, t) = argmin_z g(z) + |z - x|^2 / (2 t)``::

    T(y) = prox(y - A.H (A y - b) / L, 1 / L)                  L >= |A|^2

    ISTA    x <- T(x)                                          F falls as 1 / k
    FISTA   x_new = T(y), y <- x_new + (t - 1) / t_new (x_new - x), t_new = (1 + sqrt(1 + 4 t^2)) / 2
                                                               F falls as 1 / k^2

x is a minimiser where T(x) = x. As ``|T(y) - T(x)|`` is at most ``|y - x|``, the residual ``L |T(y) - y|`` also bounds
that of the next iterate, T(y).
"""

from __future__ import annotations

import math

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError
from linop.solve.eigen.power_iteration import power_iteration
from linop.solve.loop import NOT_FINITE, RESIDUAL, Callback, Settings, Step, Steps, run, zeros
from linop.solve.proximal.elementary import Proximal, settings_of
from linop.solve.result import Result

POWER_TOLERANCE, POWER_ITERATIONS = 0.05, 300
"""How well the norm of A is estimated. The iteration is stable for L down to three quarters of ``|A|^2``."""

DIVERGED = 1e8
"""How much a residual may grow: that of ISTA never does, that of FISTA swings."""


@checked
def ista(
    A: LinearOperator,
    b: Vector,
    prox: Proximal,
    *,
    x0: Vector | None = None,
    lipschitz: Nonnegative | None = None,
    backtracking: bool = False,
    tolerance: Nonnegative = 1e-6,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Minimise ``|A x - b|^2 / 2 + g(x)`` by ISTA; `fista` is faster.

    Parameters
    ----------
    A, b, prox, x0, lipschitz, backtracking, tolerance, absolute, iterations, callback, progress
        As for `fista`.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal
    >>> from linop.solve import box
    >>> ista(Diagonal([1.0, 2.0]), np.array([-1.0, 2.0]), box()).x.round(4).tolist()
    [0.0, 1.0]
    """
    settings = Settings(
        "ista",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        default=1000,
        options=(x0 is None, lipschitz, backtracking, settings_of(prox)),
    )
    return _solve(b, prox, x0, lipschitz, settings, backtracking=backtracking, momentum=False)


@checked
def fista(
    A: LinearOperator,
    b: Vector,
    prox: Proximal,
    *,
    x0: Vector | None = None,
    lipschitz: Nonnegative | None = None,
    backtracking: bool = False,
    restart: bool = False,
    tolerance: Nonnegative = 1e-6,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Minimise ``|A x - b|^2 / 2 + g(x)`` by FISTA, in the norms of the two spaces.

    Parameters
    ----------
    A : LinearOperator
        From X to Y.
    b : vector of Y
        One vector, without batch axes. The iterates are in its library and precision.
    prox : function
        The proximal map of the convex function g: from a vector of X and a step, the minimiser of
        ``g(z) + |z - x|^2 / (2 step)``; see `linop.solve.proximal`.
    x0 : vector of X, optional
        Where to start; zero by default.
    lipschitz : float, optional
        L, a bound on ``|A|^2``; by default, five percent above what power iteration finds.
    backtracking : bool, optional
        Whether to double L where a step shows that it is too small. It costs another application of A for each step.
    restart : bool, optional
        Whether to give up the momentum where it leads uphill: where ``inner(y - x_new, x_new - x) > 0``. Near a minimum
        that F grows away from as a square, convergence becomes linear.
    tolerance, absolute : float, optional
        Stop where ``L |T(y) - y|``, with the step T from the point y, is at most `absolute`, or at most `tolerance`
        times the larger one of ``|A.H b|`` and the first such number.
    iterations : int, optional
        How many steps to take at most; ten for each coordinate, and at least a thousand, by default.
    callback : function, optional
        Called after each step with a `State`; stops the solver when it returns True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        Its residuals are the ``L |T(y) - y|`` of the points y that the iterates were reached from; the first two are
        equal.

    Raises
    ------
    SpaceError
        When b, x0 or what `prox` returns is no vector of its space.
    ValueError
        When a tolerance, the number of iterations or L is none.

    References
    ----------
    Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems, SIAM J. Imaging
    Sci. 2 (2009) 183; O'Donoghue and Candès, Adaptive restart for accelerated gradient schemes, Found. Comput. Math. 15
    (2015) 715.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal
    >>> from linop.solve import soft_threshold
    >>> fista(Diagonal([1.0, 2.0]), np.array([0.5, 3.0]), soft_threshold(1.0)).x.round(4).tolist()
    [0.0, 1.25]
    """
    settings = Settings(
        "fista",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        default=1000,
        options=(x0 is None, lipschitz, backtracking, restart, settings_of(prox)),
    )
    return _solve(b, prox, x0, lipschitz, settings, backtracking=backtracking, momentum=True, restart=restart)


def _solve(
    b: Vector,
    prox: Proximal,
    x0: Vector | None,
    lipschitz: float | None,
    settings: Settings,
    *,
    backtracking: bool,
    momentum: bool,
    restart: bool = False,
) -> Result:
    A, X = settings.A, settings.A.domain
    b = settings.vector("b", A.codomain, b)
    x = zeros(X, like=b) if x0 is None else settings.vector("x0", X, x0)
    if lipschitz == 0:
        raise ArgumentError(f"{settings}: expected a lipschitz that is positive, found {lipschitz}")
    if not math.isfinite(A.codomain.norm(b)):
        return Result(arrays.without_scalars(x), False, NOT_FINITE, 0, (math.nan,))
    L = norm_bound(A, b) if lipschitz is None else float(lipschitz)
    gradient_at_zero, scale = X.norm(A.H(b)), 0.0

    def reached(step: Step, norm: float) -> str | None:  # noqa: ARG001
        nonlocal scale
        scale = scale or max(gradient_at_zero, step.residual)
        return RESIDUAL if step.residual <= max(settings.absolute, settings.tolerance * scale) else None

    steps = _recurrence(A, b, prox, x, L, backtracking=backtracking, momentum=momentum, restart=restart)
    return run(steps, x, reached, settings)


def norm_bound(A: LinearOperator, like: Vector) -> float:
    """Return a number that is ``|A|^2`` or a little more; infinite where that overflows."""
    found = power_iteration(A, singular=True, like=like, tolerance=POWER_TOLERANCE, iterations=POWER_ITERATIONS)
    norm = found.values[0] if found.values else math.inf
    return (1 + POWER_TOLERANCE) * norm * norm or 1.0  # any, where A = 0


def _recurrence(
    A: LinearOperator,
    b: Vector,
    prox: Proximal,
    x: Vector,
    L: float,
    *,
    backtracking: bool,
    momentum: bool,
    restart: bool,
) -> Steps:
    X, Y, adjoint = A.domain, A.codomain, A.H
    y, t, first = x, 1.0, math.inf
    while True:
        gradient = adjoint(arrays.axpy(-1.0, b, A(y)))
        while True:
            x_new = prox(arrays.axpy(-1 / L, gradient, y), 1 / L)
            X.check(x_new, A)
            d = arrays.axpy(-1.0, y, x_new)
            length = X.norm(d)
            # The quadratic model with L bounds F where |A d|^2 <= L |d|^2; rounding makes up to as much as it allows.
            if not (backtracking and Y.norm(A(d)) > math.sqrt(L) * length * (1 + 1e-6)):
                break
            L *= 2
        if first == math.inf:
            first = L * length
            yield Step(x, first)
        if L * length > DIVERGED * first:
            return f"breakdown: the residual grows without bound; L = {L:.1e} is too small"
        x, before = x_new, x
        yield Step(x, L * length)
        if momentum:
            moved = arrays.axpy(-1.0, before, x)
            if restart and X.inner(d, moved).real < 0:  # d is x_new - y
                t = 1.0
            t, t_before = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
            y = arrays.axpy((t_before - 1) / t, moved, x)
        else:
            y = x
