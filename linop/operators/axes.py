"""Which axes of an array an operator works along."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from linop.errors import SpaceError
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays


def checked_axes(name: str, domain: Space, axes: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return axes counted from the first, each once; all by default.

    Raises
    ------
    SpaceError
        When the space has no such axis, or one is named twice.

    Examples
    --------
    >>> from linop import Euclidean
    >>> checked_axes("Flip", Euclidean((2, 3)), -1), checked_axes("Flip", Euclidean((2, 3)), None)
    ((1,), (0, 1))
    """
    require_arrays(name, domain)
    if axes is None:
        return tuple(range(domain.ndim))
    try:
        given = [operator.index(axes)]  # type: ignore[arg-type]
    except TypeError:
        try:
            given = [operator.index(axis) for axis in axes]  # type: ignore[union-attr]
        except TypeError:
            given = [domain.ndim]
    found = tuple(axis + domain.ndim if axis < 0 else axis for axis in given)
    if not all(0 <= axis < domain.ndim for axis in found) or len(set(found)) < len(found):
        raise SpaceError(f"{name} on {domain}: expected each axis once, of {domain.ndim} axes, found {axes!r}")
    return found
