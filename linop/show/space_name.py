"""A short name for a space, where there is no room for its representation: in trees and in pictures."""

from __future__ import annotations

from functools import singledispatch

from linop.arguments import checked
from linop.spaces import Euclidean, Product, Space, Weighted


@checked
@singledispatch
def space_name(space: Space) -> str:
    """Return a short name for a space.

    Parameters
    ----------
    space : Space
        The space.

    Returns
    -------
    str
        For arrays, the field and the shape, and the dtype where it is not double precision. Any other space is called
        by its class and its number of coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean, Product, Weighted
    >>> space_name(Euclidean((2, 3))), space_name(Euclidean(4, np.complex64))
    ('R^(2x3)', 'C^4 complex64')
    >>> space_name(Product(Euclidean(2), Weighted(Euclidean(3), 2.0)))
    'R^2 (+) weighted R^3'
    """
    return f"{type(space).__name__} of size {space.size}"


@space_name.register
def _(space: Euclidean) -> str:
    numbers = "C" if space.dtype.kind == "c" else "R"
    shape = "x".join(map(str, space.shape))
    name = f"{numbers}^({shape})" if space.ndim > 1 else f"{numbers}^{shape}" if space.ndim else numbers
    if space.dtype not in ("float64", "complex128"):
        name += f" {space.dtype}"
    return f"{name} over R" if space.dtype.kind == "c" and space.field == "real" else name


@space_name.register
def _(space: Weighted) -> str:
    name = space_name(space.space)
    return f"weighted ({name})" if isinstance(space.space, Product) else f"weighted {name}"


@space_name.register
def _(space: Product) -> str:
    return " (+) ".join(
        f"({space_name(part)})" if isinstance(part, Product) else space_name(part) for part in space.parts
    )
