"""What the pictures share: figures, and a colour for each rank. Matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#ee8866",
    "#44bb99",
    "#999933",
    "#bbbbbb",
)
"""Ten that are told apart, also by those who do not see all colours (P. Tol's schemes "bright" and "light")."""


def colour(rank: int) -> str:
    """Return the colour of a rank; from the eleventh on, they repeat."""
    return COLOURS[rank % len(COLOURS)]


def new_figure(size: tuple[float, float], widths: Sequence[float] = (1,)) -> tuple[Any, Any]:
    """Return a figure and its axes, which no list of open figures keeps: it shows in a notebook, once, and is saved.

    Parameters
    ----------
    size : pair of float
        Width and height in inches.
    widths : sequence of float, optional
        Of the axes that stand side by side, compared with each other.

    Returns
    -------
    matplotlib.figure.Figure, axes
        One axes, or several in an array.
    """
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(widths), figsize=size, width_ratios=widths, layout="constrained")
    plt.close(figure)
    return figure, axes
