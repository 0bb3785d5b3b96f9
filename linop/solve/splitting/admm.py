"""The alternating direction method of multipliers: least squares, with a convex function of an operator's image.

To minimise ``|A x - b|^2 / 2 + g(z)`` with ``K x = z``, a penalty rho holds the two together::

    x <- least |A x - b|^2 / 2 + rho / 2 |K x - z + u|^2        a linear equation, solved by conjugate gradients
    z <- prox_g(K x + u, 1 / rho)
    u <- u + K x - z                                            rho u is the dual vector

The same method is known as split Bregman (u is Bregman's variable) and as Douglas-Rachford splitting of the dual.
"""

from __future__ import annotations

from dataclasses import replace

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError, SpaceError
from linop.solve.krylov.cg import cg
from linop.solve.loop import RESIDUAL, Callback, Settings, Step, Steps, run, zeros
from linop.solve.proximal.elementary import Proximal, settings_of
from linop.solve.result import Result
from linop.solve.scalars import ratio

INNER = 0.1
"""What part of the last residual the error of a linear equation may be."""

FAR, FACTOR, CHANGES = 10.0, 2.0, 50
"""The penalty changes by a factor where one residual is that much larger than the other, so often at most."""


@checked
def admm(
    A: LinearOperator,
    b: Vector,
    prox: Proximal,
    *,
    K: LinearOperator | None = None,
    x0: Vector | None = None,
    penalty: Nonnegative = 1.0,
    balance: bool = True,
    inner: Whole = 50,
    preconditioner: LinearOperator | None = None,
    tolerance: Nonnegative = 1e-6,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Minimise ``|A x - b|^2 / 2 + g(K x)`` by ADMM, in the norms of the spaces; also known as split Bregman.

    Each step solves a linear equation with ``A.H A + rho K.H K`` by conjugate gradients, from the iterate before, as
    exactly as its residuals ask for. Together, A and K must leave no vector but zero without an image.

    Parameters
    ----------
    A : LinearOperator
        From X to Y.
    b : vector of Y
        One vector, without batch axes. The iterates are in its library and precision.
    prox : function
        The proximal map of g, on K's codomain; see `linop.solve.proximal`. Several functions of several images are one
        of a `VStack`, with `separate`.
    K : LinearOperator, optional
        From X to Z; the identity by default.
    x0 : vector of X, optional
        Where to start; zero by default.
    penalty : float, optional
        rho, positive. It changes the way, not the solution.
    balance : bool, optional
        Whether to change the penalty by a factor of two where the two residuals differ by a factor of ten.
    inner : int, optional
        How many steps of conjugate gradients to take at most, in each step.
    preconditioner : LinearOperator, optional
        That of the linear equations; see `cg`.
    tolerance, absolute : float, optional
        Stop where both ``|K x - z|`` and ``rho |K.H (z - z_before)|`` (with the error of the linear equation) are at
        most `absolute`, or at most `tolerance` times the larger one of ``|K x|`` and ``|z|``, and of ``rho |K.H u|``
        and ``|A.H b|``.
    iterations : int, optional
        How many steps to take at most; ten for each coordinate, and at least a thousand, by default.
    callback : function, optional
        Called after each step with a `State`; stops the solver when it returns True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        Its `dual` is ``rho u``; its residuals are the larger one of the two numbers that `tolerance` bounds.

    Raises
    ------
    SpaceError
        When a vector is none of its space, or K has another domain than A.
    ValueError
        When a tolerance, the penalty or a number of steps is none.

    References ---------- Boyd, Parikh, Chu, Peleato and Eckstein, Distributed optimization and statistical learning via
    the alternating direction method of multipliers, Found. Trends Mach. Learn. 3 (2011) 1; Goldstein and Osher, The
    split Bregman method for L1-regularized problems, SIAM J. Imaging Sci. 2 (2009) 323.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal
    >>> from linop.solve import soft_threshold
    >>> admm(Diagonal([1.0, 2.0]), np.array([0.5, 3.0]), soft_threshold(1.0)).x.round(4).tolist()
    [0.0, 1.25]
    """
    settings = Settings(
        "admm",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        default=1000,
        preconditioner=preconditioner,
        options=(x0 is None, penalty, balance, inner, settings_of(prox)),
    )
    if penalty == 0:
        raise ArgumentError(f"{settings}: expected a penalty that is positive, found {penalty}")
    K = Identity(A.domain) if K is None else K
    if K.domain != A.domain:
        raise SpaceError(f"{settings}: expected a K from {A.domain}, found {K!r}")
    b = settings.vector("b", A.codomain, b)
    x = zeros(A.domain, like=b) if x0 is None else settings.vector("x0", A.domain, x0)
    method = _Method(A, b, K, prox, float(penalty), balance=balance, inner=inner, preconditioner=preconditioner)

    def reached(step: Step, norm: float) -> str | None:  # noqa: ARG001
        small = max(method.primal, method.dual_residual) <= absolute
        return RESIDUAL if small or step.residual <= tolerance else None

    result = run(method.steps(x), x, reached, settings)
    return replace(result, dual=arrays.without_scalars(arrays.scale(method.penalty, method.u)))


class _Method:
    """The steps, their two residuals, and the multiplier u."""

    def __init__(
        self,
        A: LinearOperator,
        b: Vector,
        K: LinearOperator,
        prox: Proximal,
        penalty: float,
        *,
        balance: bool,
        inner: int,
        preconditioner: LinearOperator | None,
    ) -> None:
        self.A, self.K, self.prox, self.penalty = A, K, prox, penalty
        self.balance, self.inner, self.preconditioner = balance, inner, preconditioner
        self.right = A.H(b)
        self.size = A.domain.norm(self.right)
        self.u = zeros(K.codomain, like=b)
        self.primal, self.dual_residual = 0.0, self.size

    def steps(self, x: Vector) -> Steps:
        """Yield the iterates, and the larger one of their two relative residuals."""
        K, X, Z, adjoint = self.K, self.A.domain, self.K.codomain, self.K.H
        z = K(x)
        changes = 0
        yield Step(x, 1.0)
        while True:
            x, error = self.least(x, z)
            image = K(x)
            z_before, z = z, self.prox(arrays.axpy(1.0, image, self.u), 1 / self.penalty)
            Z.check(z, K)
            gap = arrays.axpy(-1.0, z, image)
            self.u = arrays.axpy(1.0, gap, self.u)
            self.primal = Z.norm(gap)
            self.dual_residual = error + self.penalty * X.norm(adjoint(arrays.axpy(-1.0, z_before, z)))
            primal = ratio(self.primal, max(Z.norm(image), Z.norm(z)))
            dual = ratio(self.dual_residual, max(self.penalty * X.norm(adjoint(self.u)), self.size))
            yield Step(x, max(primal, dual) if primal == primal else primal)
            if self.balance and changes < CHANGES:
                factor = FACTOR if primal > FAR * dual else 1 / FACTOR if dual > FAR * primal else 1.0
                if factor != 1.0:
                    changes += 1
                    self.penalty *= factor
                    self.u = arrays.scale(1 / factor, self.u)

    def least(self, x: Vector, z: Vector) -> tuple[Vector, float]:
        """Return the minimiser in x, from the last one, and what is left of the gradient there."""
        A, K = self.A, self.K
        normal = A.H @ A + self.penalty * (K.H @ K)
        right = arrays.axpy(self.penalty, K.H(arrays.axpy(-1.0, self.u, z)), self.right)
        error = INNER * max(self.dual_residual, self.penalty * self.primal)
        found = cg(
            normal,
            right,
            x0=x,
            tolerance=0.0,
            absolute=error,
            iterations=self.inner,
            preconditioner=self.preconditioner,
        )
        return found.x, found.residuals[-1]
