"""Proximal maps of l1 and l2, and projections onto boxes and balls."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from numbers import Complex
from typing import Any, TypeVar

from linop import arrays
from linop.arguments import Nonnegative, checked
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError
from linop.spaces import Space

Proximal = Callable[[Vector, float], Vector]
"""From a vector and a step, the minimiser; it does not change its argument."""

F = TypeVar("F", bound=Callable[..., Proximal])


def proximal(make: F) -> F:
    """Return a function that makes proximal maps, each of which says what it was made of. A decorator.

    Arguments are checked (`linop.arguments.checked`). Processes that share one of them must pass the same numbers;
    those that run a solver compare what its proximal maps say, `settings_of` them.

    Examples
    --------
    >>> @proximal
    ... def pull(weight: Nonnegative) -> Proximal:
    ...     return lambda x, step: x / (1 + step * weight)
    >>> settings_of(pull(2.0))
    ('pull', 2.0)
    """
    checked_make = checked(make)
    signature = inspect.signature(make)

    @functools.wraps(make)
    def call(*args: Any, **options: Any) -> Proximal:
        prox = checked_make(*args, **options)
        given = signature.bind(*args, **options)
        given.apply_defaults()
        settings = (make.__name__, *map(_setting, (*given.args, *given.kwargs.values())))
        for argument in given.args:
            if isinstance(argument, Space):
                argument.agree(make.__name__, settings)
            elif isinstance(argument, LinearOperator):
                argument._agree(make.__name__, settings)
        prox.settings = settings  # type: ignore[attr-defined]
        return prox

    return call  # type: ignore[return-value]


def settings_of(prox: Proximal) -> object:
    """Return what a proximal map was made of; of a user's own function, its name."""
    return getattr(prox, "settings", getattr(prox, "__qualname__", type(prox).__qualname__))


def _setting(argument: object) -> object:
    """Return what processes compare of an argument: a number, what a proximal map was made of, else its type."""
    if argument is None or isinstance(argument, Complex | str):
        return argument
    return settings_of(argument) if callable(argument) else type(argument).__name__


@proximal
def soft_threshold(weight: Nonnegative) -> Proximal:
    """Return the proximal map of ``weight * sum_i |x_i|``, which makes vectors sparse: moduli shrink, down to zero.

    Parameters
    ----------
    weight : float
        Zero or more.

    Examples
    --------
    >>> import numpy as np
    >>> soft_threshold(2.0)(np.array([3.0, -1.0, -4.0]), 0.5).tolist()
    [2.0, 0.0, -3.0]
    """

    def shrink(x: Array, threshold: float) -> Array:
        xp = arrays.namespace(x)
        modulus = xp.abs(x)
        nonzero = xp.where(modulus == 0, xp.ones_like(modulus), modulus)
        direction = xp.sign(x) if arrays.kind(x) == "real" else x / nonzero
        return xp.where(modulus <= threshold, xp.zeros_like(x), direction * (modulus - threshold))

    return lambda x, step: arrays.each(lambda part: shrink(part, weight * step), x)


@proximal
def box(lower: float = 0.0, upper: float = math.inf) -> Proximal:
    """Return the projection onto real vectors with entries from `lower` to `upper`; not negative, by default.

    Parameters
    ----------
    lower, upper : float
        Bounds; may be infinite.

    Examples
    --------
    >>> import numpy as np
    >>> box()(np.array([3.0, -1.0]), 1.0).tolist()
    [3.0, 0.0]
    """
    if not lower <= upper:
        raise ArgumentError(f"box: expected a lower bound that is at most the upper one, found {lower} and {upper}")

    def clip(x: Array) -> Array:
        xp = arrays.namespace(x)
        raised = xp.where(x < lower, xp.full_like(x, lower), x)
        return xp.where(raised > upper, xp.full_like(x, upper), raised)

    return lambda x, step: arrays.each(clip, x)  # noqa: ARG005  (a projection is the same for every step)


@proximal
def ridge(weight: Nonnegative) -> Proximal:
    """Return the proximal map of ``weight / 2 * |x|^2``, on any space.

    Parameters
    ----------
    weight : float
        Zero or more.

    Examples
    --------
    >>> import numpy as np
    >>> ridge(2.0)(np.array([3.0, -1.0]), 0.5).tolist()
    [1.5, -0.5]
    """
    return lambda x, step: arrays.scale(1 / (1 + step * weight), x)


def nonnegative() -> Proximal:
    """Return the projection onto the real vectors without negative entries: ``box()``.

    Examples
    --------
    >>> import numpy as np
    >>> nonnegative()(np.array([3.0, -1.0]), 1.0).tolist()
    [3.0, 0.0]
    """
    return box()


@proximal
def norm_threshold(space: Space, weight: Nonnegative) -> Proximal:
    """Return the proximal map of ``weight * |x|``, the norm of a space and not its square.

    Parameters
    ----------
    space : Space
        Any.
    weight : float
        Zero or more.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> norm_threshold(Euclidean(2), 5.0)(np.array([6.0, 8.0]), 1.0).tolist()
    [3.0, 4.0]
    """

    def shrink(x: Vector, step: float) -> Vector:
        size = space.norm(x)
        return arrays.scale(1 - step * weight / size if size > step * weight else 0.0, x)

    return shrink


@proximal
def ball(space: Space, radius: Nonnegative) -> Proximal:
    """Return the projection onto the vectors of a space whose norm is at most `radius`.

    Parameters
    ----------
    space : Space
        Any; its norm is meant.
    radius : float
        Zero or more.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> ball(Euclidean(2), 5.0)(np.array([6.0, 8.0]), 1.0).tolist()
    [3.0, 4.0]
    """

    def project(x: Vector, step: float) -> Vector:  # noqa: ARG001
        size = space.norm(x)
        return arrays.scale(radius / size if size > radius else 1.0, x)

    return project
