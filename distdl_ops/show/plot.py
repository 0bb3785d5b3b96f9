"""The global matrix of an operator and of its adjoint, side by side, with lines between the ranks."""

from __future__ import annotations

import itertools
import math
from typing import Any

from distdl_ops.layouts.describe import in_words
from distdl_ops.movement.movement import Movement
from distdl_ops.show.pictures import new_figure
from distdl_ops.spaces import DistributedSpace
from linop import LinearOperator, Space
from linop import plot_matrix as draw_matrix
from linop.arguments import checked
from linop.show.plot import SLENDER, boundaries


@checked
def plot_matrix(operator: LinearOperator) -> Any:
    """Draw the matrix of an operator and that of its adjoint, with lines between the ranks. Collective.

    A replicated vector has its coordinates once, with the first of the ranks that store it. Needs matplotlib.

    Parameters
    ----------
    operator : LinearOperator
        A small one; its matrices are built.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=3), (9,), p=Split(0))
    ...     return plot_matrix(HaloExchange(S, {0: (1, 1)}))
    >>> [ax.get_title() for ax in simulate(3, main)[0].axes[:2]]
    ['HaloExchange(p)', 'HaloExchange(p).H']
    """
    columns, rows = (max(space.size, 1) for space in (operator.domain, operator.codomain))
    slender = max(rows, columns) > SLENDER * min(rows, columns)
    widths = (1.0, 1.0) if slender else (columns / (rows + columns), rows / (rows + columns))  # entries of one size
    height = 4.2 if slender else 7.6 * max(widths) + 0.9
    figure, axes = new_figure((9.2, height), widths)
    for ax, A in zip(axes, (operator, operator.H), strict=True):
        draw_matrix(A, ax, bar=False)
        _label(ax.xaxis, A.domain)
        _label(ax.yaxis, A.codomain)
        ax.set_xlabel(_name("domain", A.domain), fontsize=9, parse_math=False)
        ax.set_ylabel(_name("codomain", A.codomain), fontsize=9, parse_math=False)
    entries = axes[0].images[0]
    modulus = operator.domain.field == "complex"
    figure.colorbar(entries, ax=axes, label="modulus of the entry" if modulus else "entry", shrink=0.6, aspect=30)
    title = str(operator)
    adjoint = f"({title}).H" if "@" in title or "+" in title else f"{title}.H"
    if isinstance(operator, Movement) and str(operator.H) != adjoint:
        adjoint = f"{adjoint} = {operator.H}"
    for ax, text in zip(axes, (title, title if operator == operator.H else adjoint), strict=True):
        ax.set_title(text if len(text) < 48 else f"{text[:44]} ...", fontsize=11, parse_math=False)
    return figure


@boundaries.register
def _(space: DistributedSpace) -> list[int]:
    """Return where the coordinates of a rank begin."""
    return sorted(set(_starts(space)) - {0, space.size})


def _starts(space: DistributedSpace) -> list[int]:
    """Return where the coordinates of each counted rank begin, and where those of the last one end."""
    each = space.size // max(space.layout.size, 1)  # two for each entry of a real space of complex arrays
    sizes = [each * math.prod(space.layout.shape_at(rank)) for rank in space.layout.counted_ranks()]
    return list(itertools.accumulate(sizes, initial=0))


def _label(axis: Any, space: Space) -> None:
    """Name the ranks along an axis, in the middle of their coordinates."""
    plain = space.unweighted
    if isinstance(plain, DistributedSpace):
        starts = _starts(plain)
        held = [
            (rank, ends) for rank, ends in zip(plain.layout.counted_ranks(), itertools.pairwise(starts), strict=True)
        ]
        held = [(rank, (start, stop)) for rank, (start, stop) in held if start < stop]
        axis.set_ticks([(start + stop - 1) / 2 for _, (start, stop) in held], [str(rank) for rank, _ in held])
        axis.set_tick_params(length=0)


def _name(side: str, space: Space) -> str:
    plain = space.unweighted
    return f"rank, {side} {in_words(plain.layout)}" if isinstance(plain, DistributedSpace) else side
