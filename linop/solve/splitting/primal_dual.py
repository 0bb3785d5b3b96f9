"""The primal-dual method of Chambolle and Pock: two convex functions, one of them of an operator's image.

To minimise ``f(x) + g(K x)``, with the proximal maps of f and g, x and a dual vector y of K's codomain take turns::

    x_new = prox_f(x - tau K.H y, tau)
    y_new = prox_g*(y + sigma K (2 x_new - x), sigma)          tau sigma |K|^2 <= 1

g* is the conjugate of g, whose proximal map follows from that of g. That is the proximal point algorithm in the norm
``|(x, y)|^2 = |x|^2 / tau - 2 <K x, y> + |y|^2 / sigma``, in which the length of a step does not increase. Where f is
strongly convex with a constant gamma, steps may change from one to the next, ``theta = (1 + 2 gamma tau)^-1/2``, ``tau
<- theta tau``, ``sigma <- sigma / theta``, with ``x_new + theta (x_new - x)`` in the second line; then the distance to
the solution falls as 1 / k.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError
from linop.solve.loop import ORDINARY, RESIDUAL, Callback, Settings, Step, Steps, run, zeros
from linop.solve.proximal.elementary import Proximal, settings_of
from linop.solve.result import Result
from linop.solve.splitting.ista import norm_bound


@checked
def primal_dual(
    K: LinearOperator,
    prox_f: Proximal,
    prox_g: Proximal,
    *,
    x0: Vector | None = None,
    y0: Vector | None = None,
    like: Vector | None = None,
    primal_step: Nonnegative | None = None,
    dual_step: Nonnegative | None = None,
    convexity: Nonnegative = 0.0,
    tolerance: Nonnegative = 1e-6,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Minimise ``f(x) + g(K x)`` by the method of Chambolle and Pock, in the inner products of the two spaces.

    Where there are several functions of several images, K is a `VStack`, and g has the proximal map `separate`; least
    squares ``|A x - b|^2 / 2`` enter as ``misfit(b)`` of A's image. Each step applies K and ``K.H`` once.

    Parameters
    ----------
    K : LinearOperator
        From X to Y.
    prox_f, prox_g : function
        The proximal maps of f, on X, and g, on Y; see `linop.solve.proximal`. `free()` is that of zero.
    x0, y0 : vector of X and of Y, optional
        Where to start; zero by default.
    like : vector, optional
        Without x0, the iterates are in its library and precision; NumPy's and those of the space, by default.
    primal_step, dual_step : float, optional
        tau and sigma. By default their product is ``1 / |K|^2``, with five percent above what power iteration finds for
        the squared norm; and they are equal, where none is given.
    convexity : float, optional
        gamma, such that ``f(x) - gamma |x|^2 / 2`` is convex: steps then adapt, which is faster.
    tolerance, absolute : float, optional
        Stop where the length of a step, in the norm that the method makes shorter, is at most `absolute`, or at most
        `tolerance` times the longest so far.
    iterations : int, optional
        How many steps to take at most; ten for each coordinate, and at least a thousand, by default.
    callback : function, optional
        Called after each step with a `State`; stops the solver when it returns True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        Its `dual` is y, its residuals are the lengths of the steps; the first two are equal.

    Raises
    ------
    SpaceError
        When a start, or what a proximal map returns, is no vector of its space.
    ValueError
        When a tolerance, a step or the number of iterations is none.

    References
    ----------
    Chambolle and Pock, A first-order primal-dual algorithm for convex problems with applications to imaging, J. Math.
    Imaging Vis. 40 (2011) 120; He and Yuan, SIAM J. Imaging Sci. 5 (2012) 119, for the norm.

    Examples
    --------
    The median of five numbers has the least sum of distances from them.

    >>> import numpy as np
    >>> from linop import Matrix
    >>> from linop.solve import free, shifted, soft_threshold
    >>> distances = shifted(soft_threshold(1.0), np.array([1.0, 7.0, 2.0, 5.0, 100.0]))
    >>> primal_dual(Matrix(np.ones((5, 1))), free(), distances, iterations=2000).x.round(3).tolist()
    [5.0]
    """
    settings = Settings(
        "primal_dual",
        K,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        default=1000,
        options=(primal_step, dual_step, convexity, settings_of(prox_f), settings_of(prox_g)),
    )
    X, Y = K.domain, K.codomain
    for name, step in (("primal_step", primal_step), ("dual_step", dual_step)):
        if step == 0:
            raise ArgumentError(f"{settings}: expected a {name} that is positive, found {step}")
    like = x0 if like is None else like
    x = X.zeros(like=like) if x0 is None else settings.vector("x0", X, x0)
    y = zeros(Y, like=x) if y0 is None else settings.vector("y0", Y, y0)
    if primal_step is None or dual_step is None:
        squared = norm_bound(K, y)
        primal_step = primal_step or (math.sqrt(1 / squared) if dual_step is None else 1 / (dual_step * squared))
        dual_step = dual_step or 1 / (primal_step * squared)
    method = _Method(K, prox_f, prox_g, primal_step, dual_step, convexity)
    longest = 0.0

    def reached(step: Step, norm: float) -> str | None:  # noqa: ARG001
        nonlocal longest
        longest = max(longest, step.residual)
        return RESIDUAL if step.residual <= max(absolute, tolerance * longest) else None

    result = run(method.steps(x, y), x, reached, settings)
    dual = method.dual() if callable(method.dual) else method.dual
    return replace(result, dual=arrays.without_scalars(dual))


class _Method:
    """The steps, and the dual vector that belongs to the last one."""

    def __init__(
        self, K: LinearOperator, prox_f: Proximal, prox_g: Proximal, tau: float, sigma: float, convexity: float
    ) -> None:
        self.K, self.prox_f, self.prox_g = K, prox_f, prox_g
        self.tau, self.sigma, self.convexity = tau, sigma, convexity
        self.dual: Any = None  # a vector, or a function that makes it

    def steps(self, x: Vector, y: Vector) -> Steps:
        """Yield the iterates and the lengths of the steps that led to them."""
        K, X, Y, adjoint = self.K, self.K.domain, self.K.codomain, self.K.H
        image, first, self.dual = K(x), True, y
        p = arrays.scale(1 / self.sigma, y)  # of which the dual vector is sigma times
        while True:
            tau, theta = self.tau, 1.0
            x_new = self.prox_f(arrays.axpy(-tau * self.sigma, adjoint(p), x, spent="x"), tau)
            X.check(x_new, K)
            if self.convexity:
                theta = 1 / math.sqrt(1 + 2 * self.convexity * tau)
                self.tau, self.sigma, p = theta * tau, self.sigma / theta, arrays.scale(theta, p)
            sigma = self.sigma
            image_new = K(x_new)
            image_step = arrays.axpy(-1.0, image, image_new, spent="x")
            v = arrays.axpy(1.0, p, arrays.axpy(theta, image_step, image_new), spent="y")
            z = self.prox_g(v, 1 / sigma)  # Moreau: prox_g*(sigma v, sigma) = sigma (v - z)
            Y.check(z, K)
            p_new = arrays.axpy(-1.0, z, v, spent="y")
            dx, dp = arrays.axpy(-1.0, x, x_new), arrays.axpy(-1.0, p, p_new, spent="x")
            length = self.length(X.norm(dx) / math.sqrt(tau), math.sqrt(sigma) * Y.norm(dp), image_step, dp)
            if first:
                first = False
                yield Step(x, length)
            x, p, image = x_new, p_new, image_new
            self.dual = partial(arrays.scale, sigma, p)
            yield Step(x, length)

    def length(self, primal: float, dual: float, image_step: Vector, dp: Vector) -> float:
        """Return the length of a step in the norm of the method, from its two parts and what couples them."""
        size = max(primal, dual)
        if not 0 < size < math.inf:
            return primal + dual
        if not ORDINARY <= size <= 1 / ORDINARY:  # whose squares might be lost
            image_step, dp = arrays.scale(1 / size, image_step), arrays.scale(1 / size, dp)
            primal, dual, unit = primal / size, dual / size, size
        else:
            unit = 1.0
        coupled = 2 * self.sigma * self.K.codomain.inner(image_step, dp).real
        return unit * math.sqrt(max(primal * primal + dual * dual - coupled, 0.0))
