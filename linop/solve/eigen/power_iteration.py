"""Power iteration: the eigenvalue of largest modulus, by applying the operator again and again.

::

    w = A v     theta = <v, w>     v <- w / |w|

For self-adjoint A there is an eigenvalue within ``|A v - theta v|`` of the Rayleigh quotient theta.
"""

from __future__ import annotations

import math
from dataclasses import replace

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError
from linop.solve.loop import Callback, Settings, Step, Steps, normalised, random, run
from linop.solve.result import Result
from linop.spaces import Seed

RESIDUAL = "the residual of the eigenvector is below the tolerance"


@checked
def power_iteration(
    A: LinearOperator,
    *,
    singular: bool = False,
    start: Vector | None = None,
    like: Vector | None = None,
    seed: Seed = 0,
    tolerance: Nonnegative = 1e-6,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Find the largest absolute eigenvalue of a self-adjoint operator, or the largest singular value of any.

    It converges as the ratio of the two largest absolute eigenvalues, and not at all where these differ in sign only;
    `lanczos` needs fewer applications, and more memory.

    Parameters
    ----------
    A : LinearOperator
        From a space to itself and self-adjoint with respect to `Space.inner`; any, where `singular`.
    singular : bool, optional
        Whether to find the largest singular value, which is the norm of A, by iterating with ``A.H @ A``.
    start : vector of the domain, optional
        Where to start; drawn at random by default.
    like : vector, optional
        Its library, device and precision are those of the start that is drawn.
    seed : int or tuple of int, optional
        What the start is drawn from.
    tolerance, absolute : float, optional
        Stop where ``|A v - theta v|`` is at most ``tolerance |theta|`` (with the largest ``|theta|`` so far), or at
        most ``absolute``. The error of theta is of the order of the square of that. With `singular`, read ``A.H A`` for
        A.
    iterations : int, optional
        How many steps to take at most; ten for each coordinate, and at least a thousand, by default.
    callback : function, optional
        Called after each step with a `State`; stops the solver when it returns True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        `x` is the eigenvector (or right singular vector) of length one, `values` has the one eigenvalue (or singular
        value), the residuals are ``|A v - theta v|``.

    Raises
    ------
    SpaceError
        When A does not map a space to itself, or the start is no vector of its domain.
    ValueError
        When the start is zero, or a tolerance or the number of iterations is none.

    References
    ----------
    Golub and Van Loan, Matrix Computations (4th edition, Johns Hopkins, 2013), section 8.2.1.

    Examples
    --------
    >>> from linop import Diagonal, Matrix
    >>> round(power_iteration(Diagonal([1.0, -3.0])).values[0], 6)
    -3.0
    >>> round(power_iteration(Matrix([[3.0, 0.0], [4.0, 0.0], [0.0, 1.0]]), singular=True).values[0], 6)
    5.0
    """
    settings = Settings(
        "power_iteration",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        default=1000,
        options=(singular, start is None, seed),
    )
    v = start_vector(settings, start, like, seed)
    if not singular:
        settings.require_square()

    def reached(step: Step, norm: float) -> str | None:
        return RESIDUAL if step.residual <= max(absolute, tolerance * norm) else None

    result = run(_recurrence(A.H @ A if singular else A, v), v, reached, settings)
    return replace(result, values=tuple(math.sqrt(max(0.0, value)) for value in result.values)) if singular else result


def start_vector(settings: Settings, start: Vector | None, like: Vector | None, seed: Seed) -> Vector:
    """Return a vector of length one in the domain; raise where there is none."""
    X = settings.A.domain
    size, v = normalised(X, random(X, seed, like) if start is None else settings.vector("start", X, start))
    if not 0 < size < math.inf:
        raise ArgumentError(f"{settings}: expected a start of finite length that is not zero, found length {size}")
    return v


def _recurrence(A: LinearOperator, v: Vector) -> Steps:
    X = A.domain
    while True:
        w = A(v)
        theta = X.inner(v, w).real
        yield Step(v, X.norm(arrays.axpy(-theta, v, w)), norm=abs(theta), values=(theta,))
        _, v = normalised(X, w)
