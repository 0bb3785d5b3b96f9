"""Carrying a batch through a function of one vector."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from linop import arrays
from linop.arrays import Array, Vector
from linop.spaces import Space


def for_each(function: Callable[[Vector], Vector], x: Vector, source: Space, target: Space) -> Vector:
    """Return the images of a batch of vectors under a function of one, as a batch.

    Parameters
    ----------
    function : callable
        Takes a vector of one space to one of another.
    x : vector of `source`, or a batch of them
        What it is applied to.
    source, target : Space
        The two spaces.
    """
    batch = source.batch(x)
    if not batch:
        return function(x)
    images = [function(arrays.each(lambda part, index=index: part[(*index, ...)], x)) for index in np.ndindex(*batch)]

    def gather(*parts: Array) -> Array:
        xp = arrays.namespace(parts[0])
        return xp.reshape(xp.stack(parts), (*batch, *parts[0].shape))

    return arrays.each(gather, *images) if images else target.zeros(batch, like=x)
