r"""Proximal maps made of others: of conjugates, of shifted functions, of sums over the parts of a product.

The conjugate of g is ``g*(y) = max_x inner(x, y) - g(x)``, and Moreau's identity gives its proximal map::

    prox_g*(y, step) = y - step prox_g(y / step, 1 / step)

The inner product is that of the space: nothing else is needed, with weights or without.
"""

from __future__ import annotations

from linop import arrays
from linop.arguments import Nonnegative
from linop.arrays import Vector
from linop.errors import ArgumentError
from linop.solve.proximal.elementary import Proximal, proximal


@proximal
def conjugate(prox: Proximal) -> Proximal:
    """Return the proximal map of the conjugate function, by Moreau's identity.

    Parameters
    ----------
    prox : function
        A proximal map.

    Examples
    --------
    >>> import numpy as np
    >>> from linop.solve import soft_threshold
    >>> conjugate(soft_threshold(1.0))(np.array([3.0, -0.5]), 2.0).tolist()
    [1.0, -0.5]
    """

    def apply(y: Vector, step: float) -> Vector:
        return arrays.axpy(-step, prox(arrays.scale(1 / step, y), 1 / step), y)

    return apply


def free() -> Proximal:
    """Return the proximal map of the function that is zero everywhere: it changes nothing.

    Examples
    --------
    >>> import numpy as np
    >>> free()(np.array([3.0, -1.0]), 1.0).tolist()
    [3.0, -1.0]
    """
    return lambda x, step: arrays.copy(x)  # noqa: ARG005  (the same for every step)


@proximal
def misfit(b: Vector, weight: Nonnegative = 1.0) -> Proximal:
    """Return the proximal map of ``weight / 2 * |x - b|^2``, on any space.

    Parameters
    ----------
    b : vector of the space
        The data.
    weight : float, optional
        Zero or more.

    Examples
    --------
    >>> import numpy as np
    >>> misfit(np.array([1.0, 1.0]))(np.array([3.0, 0.0]), 1.0).tolist()
    [2.0, 0.5]
    """

    def pull(x: Vector, step: float) -> Vector:
        pulled = step * weight
        return arrays.axpy(pulled / (1 + pulled), b, arrays.scale(1 / (1 + pulled), x))

    return pull


@proximal
def shifted(prox: Proximal, b: Vector) -> Proximal:
    """Return the proximal map of ``g(x - b)``: with `soft_threshold`, of ``weight * sum_i |x_i - b_i|``.

    Parameters
    ----------
    prox : function
        That of g.
    b : vector of the space
        Where the function moves to.

    Examples
    --------
    >>> import numpy as np
    >>> from linop.solve import soft_threshold
    >>> shifted(soft_threshold(1.0), np.array([1.0, 1.0]))(np.array([3.0, 0.5]), 1.0).tolist()
    [2.0, 1.0]
    """
    return lambda x, step: arrays.axpy(1.0, prox(arrays.axpy(-1.0, b, x), step), b)


@proximal
def separate(*proxes: Proximal) -> Proximal:
    """Return the proximal map of ``g_1(x_1) + g_2(x_2) + ...`` on a product of spaces.

    Parameters
    ----------
    *proxes : function
        One proximal map for each part.

    Examples
    --------
    >>> import numpy as np
    >>> from linop.solve import box, soft_threshold
    >>> first, second = separate(soft_threshold(1.0), box())((np.array([3.0]), np.array([-2.0])), 1.0)
    >>> first.tolist(), second.tolist()
    ([2.0], [0.0])
    """

    def apply(x: Vector, step: float) -> Vector:
        if type(x) is not tuple or len(x) != len(proxes):
            found = f"{len(x)} parts" if type(x) is tuple else type(x).__name__
            raise ArgumentError(
                f"separate: expected a tuple of {len(proxes)} vectors, one for each proximal map; found {found}"
            )
        return tuple(prox(part, step) for prox, part in zip(proxes, x, strict=True))

    return apply
