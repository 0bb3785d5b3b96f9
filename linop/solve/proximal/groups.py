"""Proximal maps that act on groups of entries, or on matrices: they make whole groups zero, or matrices of low rank."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce

import numpy as np

from linop import arrays
from linop.arguments import Nonnegative
from linop.arrays import Array, Vector
from linop.errors import SpaceError
from linop.solve.proximal.elementary import Proximal, proximal
from linop.spaces import Space


@proximal
def group_threshold(weight: Nonnegative, axis: int | None = None) -> Proximal:
    """Return the proximal map of ``weight * sum_i |x_i|``: each x_i is a group of entries, ``|x_i|`` its length.

    A group shrinks along its direction, down to zero: vectors become sparse group by group (a norm "l2,1").

    Parameters
    ----------
    weight : float
        Zero or more.
    axis : int, optional
        The groups are the lines along this axis of an array, which lie on one process each. By default vectors are
        tuples of arrays of one shape, as gradients are, and the group i has the entry i of each.

    Raises
    ------
    SpaceError
        When it is applied to a tuple of arrays of several shapes, or to an array without an axis.

    Examples
    --------
    >>> import numpy as np
    >>> right, down = group_threshold(5.0)((np.array([6.0, 3.0]), np.array([8.0, 0.0])), 1.0)
    >>> right.tolist(), down.tolist()
    ([3.0, 0.0], [4.0, 0.0])
    """

    def shrink(x: Vector, step: float) -> Vector:
        threshold = weight * step

        def factor(length: Array) -> Array:
            return 1 - _clipped(length, threshold) if threshold else arrays.namespace(length).ones_like(length)

        return _by_group("group_threshold", x, axis, factor)

    return shrink


@proximal
def infinity_ball(radius: Nonnegative = 1.0) -> Proximal:
    """Return the projection onto the vectors whose entries have moduli of at most `radius`, real or complex.

    It is the proximal map of the conjugate of `soft_threshold`'s function, whose weight is the radius.

    Parameters
    ----------
    radius : float, optional
        Zero or more.

    Examples
    --------
    >>> import numpy as np
    >>> infinity_ball(2.0)(np.array([3.0, -1.0]), 1.0).tolist()
    [2.0, -1.0]
    """

    def clip(x: Array) -> Array:
        return x * _clipped(arrays.namespace(x).abs(x), radius)

    return lambda x, step: arrays.each(clip, x)  # noqa: ARG005  (a projection is the same for every step)


@proximal
def group_ball(radius: Nonnegative = 1.0, axis: int | None = None) -> Proximal:
    """Return the projection onto the vectors whose groups of entries have lengths of at most `radius`.

    It is the proximal map of the conjugate of `group_threshold`'s function, whose weight is the radius.

    Parameters
    ----------
    radius : float, optional
        Zero or more.
    axis : int, optional
        As for `group_threshold`.

    Examples
    --------
    >>> import numpy as np
    >>> right, down = group_ball(5.0)((np.array([6.0, 3.0]), np.array([8.0, 0.0])), 1.0)
    >>> right.tolist(), down.tolist()
    ([3.0, 3.0], [4.0, 0.0])
    """

    def project(x: Vector, step: float) -> Vector:  # noqa: ARG001
        return _by_group("group_ball", x, axis, lambda length: _clipped(length, radius))

    return project


def lengths(x: Vector, axis: int | None = None) -> Array:
    """Return the length of each group of entries, or raise; see `group_threshold`.

    Examples
    --------
    >>> import numpy as np
    >>> lengths((np.array([3.0, 1.0]), np.array([4.0, 0.0]))).tolist()
    [5.0, 1.0]
    """
    if axis is not None and type(x) is not tuple:
        xp = arrays.namespace(x)
        with np.errstate(over="ignore"):
            squared = xp.sum(_squared(x), axis=axis, keepdims=True)
        return _root(squared, lambda lost: xp.moveaxis(x, axis, -1)[xp.squeeze(lost, axis=axis), :])
    parts = x if type(x) is tuple else (x,)
    if (
        axis is not None
        or type(x) is not tuple
        or any(type(part) is tuple or part.shape != parts[0].shape for part in parts)
    ):
        shapes = [getattr(part, "shape", type(part).__name__) for part in parts]
        raise SpaceError(
            "expected a tuple of arrays of one shape, or an array and an axis of it; found shapes "
            f"{shapes} and {axis=}. A gradient has one shape for all axes with boundary='edge', 'zero' or 'periodic'."
        )
    xp = arrays.namespace(parts[0])
    with np.errstate(over="ignore"):
        squared = reduce(operator.add, map(_squared, parts))
    return _root(squared, lambda lost: xp.stack([part[lost] for part in parts], axis=-1))


def _root(squared: Array, groups: Callable[[Array], Array]) -> Array:
    """Return the roots of sums of squares, the lengths of groups.

    Where squares are lost, because they are too small or too large, lengths are found in units of the groups' largest
    moduli.

    Parameters
    ----------
    squared : array
        The sums.
    groups : function
        Takes where, and returns these groups' entries along a last axis.
    """
    xp = arrays.namespace(squared)
    if 0 in squared.shape or not xp.isdtype(squared.dtype, "real floating"):
        return xp.sqrt(squared)
    info = xp.finfo(squared.dtype)
    least, most = float(info.smallest_normal) / float(info.eps), float(info.max)
    found = xp.sqrt(squared)
    if not (float(xp.min(squared)) >= least and float(xp.max(squared)) <= most):
        lost = ~((squared >= least) & (squared <= most))
        entries = groups(lost)
        size = xp.max(xp.abs(entries), axis=-1, keepdims=True)
        unit = xp.where((size > 0) & (size <= most), size, xp.ones_like(size))
        found[lost] = (unit * xp.sqrt(xp.sum(_squared(entries / unit), axis=-1, keepdims=True)))[..., 0]
    return found


@proximal
def nuclear_threshold(space: Space, weight: Nonnegative) -> Proximal:
    """Return the proximal map of ``weight`` times the sum of singular values of a matrix, which lowers its rank.

    Parameters
    ----------
    space : Space
        Arrays whose last two axes are those of the matrix, or of one matrix for each index of the others. Of a
        distributed space, every rank holds whole matrices. Without weights, or with one number for a weight.
    weight : float
        Zero or more.

    Raises
    ------
    SpaceError
        When the vectors have no matrices, or these are spread over several processes.

    References
    ----------
    Cai, Candès and Shen, A singular value thresholding algorithm for matrix completion, SIAM J. Optim. 20 (2010) 1956.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> nuclear_threshold(Euclidean((2, 2)), 1.0)(np.array([[3.0, 0.0], [0.0, 0.5]]), 1.0).round(6).tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    if space.ndim < 2 or any(isinstance(extent, tuple) for extent in space.shape):
        raise SpaceError(f"nuclear_threshold on {space}: expected arrays with two axes or more")
    whole = tuple(getattr(space.unweighted, "global_shape", space.shape))[-2:]
    if 0 not in space.shape and tuple(space.shape[-2:]) != whole:
        space._refuse(
            SpaceError(
                f"nuclear_threshold on {space}: expected whole matrices of shape {whole}, found {space.shape[-2:]}; "
                "repartition the tensor so that its last two axes are not split"
            )
        )
    if not isinstance(getattr(space, "weight", 1.0), float):
        raise SpaceError(f"nuclear_threshold on {space}: expected no weights, or one number for a weight")

    def shrink(x: Array, step: float) -> Array:
        if 0 in x.shape:
            return arrays.copy(x)
        xp = arrays.namespace(x)
        u, values, vh = xp.linalg.svd(x, full_matrices=False)
        kept = xp.where(values > weight * step, values - weight * step, xp.zeros_like(values))
        return xp.matmul(u * xp.astype(kept, x.dtype)[..., None, :], vh)

    return shrink


def _by_group(name: str, x: Vector, axis: int | None, factor: Callable[[Array], Array]) -> Vector:
    """Multiply each group by a function of its length."""
    try:
        factors = factor(lengths(x, axis))
    except SpaceError as error:
        raise SpaceError(f"{name}: {error}") from None
    return arrays.each(lambda part: part * factors, x)


def _clipped(length: Array, radius: float) -> Array:
    """Return the factors that bring lengths down to a radius: ``radius / max(length, radius)``."""
    xp = arrays.namespace(length)
    if radius == 0:
        return xp.zeros_like(length)
    if xp is np:
        return radius / np.maximum(length, radius)
    return radius / xp.where(length > radius, length, xp.full_like(length, radius))


def _squared(x: Array) -> Array:
    """Return the squared moduli."""
    return x * x if arrays.kind(x) == "real" else arrays.namespace(x).abs(x) ** 2
