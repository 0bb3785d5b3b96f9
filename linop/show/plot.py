"""The matrix of an operator as a picture, with lines between its blocks."""

from __future__ import annotations

import itertools
import math
from functools import singledispatch
from typing import Any

import numpy as np

from linop.arguments import checked, show
from linop.blocks.kron import Kron
from linop.core.operator import LinearOperator
from linop.errors import ArgumentTypeError, SpaceError
from linop.queries.matrix import matrix
from linop.show.space_name import space_name
from linop.spaces import Product, Space

LIMIT = 4096
"""How many coordinates a space may have: more are no longer seen."""

SLENDER = 4
"""How much longer than wide a matrix may be before its entries are no more drawn as squares."""


@checked
def plot_matrix(operator: LinearOperator, ax: Any = None, *, bar: bool = True) -> Any:
    """Draw the matrix of an operator: a square for each entry, lines between the parts of tuples and of a `Kron`.

    Real entries are shown with their signs, white where they are zero; of complex ones, the moduli. Needs matplotlib.

    Parameters
    ----------
    operator : LinearOperator
        A small one; its matrix is built.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    bar : bool, optional
        Whether a colour bar stands beside it.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpaceError
        When the matrix has no entries, or more than can be seen.

    Examples
    --------
    >>> from linop import Diagonal
    >>> plot_matrix(Diagonal([1.0, -2.0])).get_title()
    'Diagonal([1.0, -2.0])'
    """
    try:
        from matplotlib import pyplot as plt
        from matplotlib.axes import Axes
    except ImportError:
        raise ImportError("plot_matrix needs Matplotlib, which is not installed: pip install matplotlib") from None

    rows, columns = operator.codomain.size, operator.domain.size
    if not 0 < min(rows, columns) <= max(rows, columns) <= LIMIT:
        raise SpaceError(
            f"plot_matrix of {operator!r}: expected from 1 to {LIMIT} rows and columns, found {rows}x{columns}"
        )
    entries = matrix(operator)
    signed = entries.dtype.kind == "f"
    shown = entries if signed else np.abs(entries)
    largest = float(np.abs(shown[np.isfinite(shown)]).max(initial=0.0)) or 1.0
    if not (ax is None or isinstance(ax, Axes)):
        raise ArgumentTypeError(f"plot_matrix: expected ax to be matplotlib's Axes, or None, found {show(ax)}")
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    image = ax.imshow(
        shown,
        cmap="RdBu_r" if signed else "viridis",
        vmin=-largest if signed else 0.0,
        vmax=largest,
        interpolation="nearest",
        aspect="equal" if max(rows, columns) <= SLENDER * min(rows, columns) else "auto",
    )
    below, beside = _lines(operator)
    for place in below:
        ax.axhline(place - 0.5, color="0.3", linewidth=0.8)
    for place in beside:
        ax.axvline(place - 0.5, color="0.3", linewidth=0.8)
    if bar:
        ax.figure.colorbar(image, ax=ax, label="entry" if signed else "modulus of the entry", shrink=0.8)
    ax.set_xlabel(_short(f"domain {space_name(operator.domain)}"), parse_math=False)
    ax.set_ylabel(_short(f"codomain {space_name(operator.codomain)}"), parse_math=False)
    ax.set_title(_short(str(operator)), parse_math=False)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    return ax


def _short(text: str) -> str:
    """Return a text that fits beside a picture."""
    return text if len(text) <= 48 else f"{text[:44]} ..."


def _lines(operator: LinearOperator) -> tuple[list[int], list[int]]:
    """Return before which rows and columns a block begins; those of a Kronecker product are multiples of one matrix."""
    if isinstance(operator, Kron):
        rows = math.prod(A.codomain.size for A in operator.operators[1:])
        columns = math.prod(A.domain.size for A in operator.operators[1:])
        below = list(range(rows, operator.codomain.size, rows))
        return below, list(range(columns, operator.domain.size, columns))
    return boundaries(operator.codomain), boundaries(operator.domain)


@singledispatch
def boundaries(space: Space) -> list[int]:
    """Return before which coordinates lines are drawn: where a part of a tuple begins, also within parts.

    Register a space whose coordinates come in blocks.

    Examples
    --------
    >>> from linop import Euclidean
    >>> boundaries(Product(Euclidean(2), Euclidean((2, 3)), Euclidean(1)))
    [2, 8]
    """
    plain = space.unweighted
    return [] if plain is space else boundaries(plain)


@boundaries.register
def _(space: Product) -> list[int]:
    starts = list(itertools.accumulate((part.size for part in space.parts), initial=0))
    inside = [start + place for start, part in zip(starts, space.parts, strict=False) for place in boundaries(part)]
    return sorted({*starts[1:-1], *inside})
