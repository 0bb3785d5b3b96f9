r"""Which entries a rank needs for its part of a result, where every result sees a window of the tensor.

Result o of a convolution, a pooling or a finite difference sees the entries :math:`s\,o - p + d\,[0, k)` for stride s,
padding p, dilation d and kernel k. So an interval of results needs an interval of entries. It may reach into the
neighbours' intervals, stop short of the rank's own, or leave the tensor: one movement, from the tensor as it lies to
these intervals, brings all that there is, and its adjoint takes it back.

What lies beyond the tensor is zero, or the tensor again (periodic): the movement knows both. A mirror image, or the
entry at the end repeated, is made of entries of the tensor; a rank that needs them receives these, and continues its
own array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

from distdl_ops.layouts.intervals import Interval, Intervals, Listed
from distdl_ops.layouts.roles import Role
from distdl_ops.spaces import DistributedSpace
from linop import SpaceError

Continuation = Literal["zero", "periodic", "reflect", "edge"]
"""What lies beyond the ends of an axis: zeros, the axis again, its mirror image, or the entry at the end."""

CONTINUATIONS: tuple[Continuation, ...] = ("zero", "periodic", "reflect", "edge")
"""All of them; the names are those of `linop.Padding`."""


class View(NamedTuple):
    """How a rank comes to the entries that it needs along one axis.

    Attributes
    ----------
    held : (start, stop)
        The interval that a movement brings.
    widths : (below, above)
        By how many entries the rank continues it, where the tensor ends.
    crop : (start, stop)
        What of the continued array is needed.
    """

    held: Interval
    widths: tuple[int, int]
    crop: Interval


@final
@dataclass(frozen=True)
class Window:
    """What one result sees of one axis of a tensor.

    Parameters
    ----------
    kernel : int
        How many entries, one or more.
    stride : int, optional
        Steps from one result to the next, one or more.
    padding : pair of int, optional
        How many entries stand below and above the axis.
    dilation : int, optional
        Steps from one entry of a window to the next, one or more.

    Examples
    --------
    >>> window = Window(kernel=3, stride=2, padding=(1, 1))
    >>> window.results(8), window.needed((1, 4))
    (4, (1, 8))
    """

    kernel: int
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    dilation: int = 1

    @property
    def reach(self) -> int:
        """Steps from the first entry of a window to its last."""
        return self.dilation * (self.kernel - 1)

    def results(self, extent: int) -> int:
        """Return how many windows fit in an axis of this extent, with its padding."""
        return max(0, (extent + sum(self.padding) - self.reach - 1) // self.stride + 1)

    def needed(self, results: Interval) -> Interval:
        """Return the entries that an interval of results sees; none for an empty one."""
        first, last = (result * self.stride - self.padding[0] for result in (results[0], results[1] - 1))
        return (first, first) if results[0] == results[1] else (first, last + self.reach + 1)

    def view(self, results: Interval, extent: int, boundary: Continuation) -> View:
        """Return how a rank with these results comes to the entries that they see, of an axis of this extent.

        Examples
        --------
        >>> Window(kernel=3, padding=(1, 1)).view((0, 2), 5, "zero")
        View(held=(-1, 3), widths=(0, 0), crop=(0, 4))
        >>> Window(kernel=5, padding=(2, 2)).view((0, 1), 9, "reflect")
        View(held=(0, 3), widths=(2, 0), crop=(0, 5))
        """
        needed = self.needed(results)
        first, last = needed
        below, above = max(0, -first), max(0, last - extent)
        if boundary in ("zero", "periodic") or first == last or below == above == 0:
            return View(needed, (0, 0), (0, last - first))
        repeated = 1 if boundary == "edge" else max(below, above) + 1  # from the end, these are what it repeats
        start, stop = max(first, 0), min(last, extent)
        if below:
            start, stop = 0, max(stop, min(extent, repeated))
        if above:
            start, stop = min(start, max(0, extent - repeated)), extent
        return View((start, stop), (below, above), (first - (start - below), last - (start - below)))


def roles_seen(
    results: DistributedSpace,
    windows: Mapping[int, Window],
    shape: tuple[int, ...],
    boundary: Continuation = "zero",
) -> dict[str, Role]:
    """Return the roles of a tensor of which every rank holds what its results see. No communication.

    Parameters
    ----------
    results : DistributedSpace
        How the results lie: on the grid of the roles.
    windows : dict
        The window along an axis of the tensor, for each axis that has one. Its other axes, if they are split, are split
        as those of the results.
    shape : tuple of int
        Of the tensor.
    boundary : {"zero", "periodic", "reflect", "edge"}, optional
        What lies beyond it.

    Returns
    -------
    dict
        Those of the results, with other intervals.

    Raises
    ------
    SpaceError
        When a rank's results are no interval along an axis that has a window.

    Examples
    --------
    >>> from distdl_ops import Grid, Split, simulate
    >>> def main(world):
    ...     Y = DistributedSpace(Grid(world, rows=2), (4,), rows=Split(0))
    ...     return roles_seen(Y, {0: Window(kernel=3, stride=2, padding=(1, 1))}, (8,))
    >>> simulate(2, main)[0]
    {'rows': Split(0, [(-1, 4), (3, 8)])}
    """
    roles = dict(results.roles)
    for axis, window in windows.items():
        if not results.split_axes(axis):
            continue
        intervals, extent = results.layout.intervals(axis), shape[axis]
        if intervals is None:
            raise SpaceError(
                f"{results}: a rank computes several intervals of results along axis {axis}, where each sees a window; "
                f"expected one interval for each rank, as Split({axis}) makes them"
            )
        held: Intervals
        if window.stride == 1 and boundary in ("zero", "periodic"):
            below = window.padding[0]
            held = intervals.widened(below, window.reach - below)
        else:
            held = Listed([window.view(interval, extent, boundary).held for interval in intervals])
        roles |= results.layout.roles_for(axis, held, "periodic" if boundary == "periodic" else "zero")
    return roles


def views_here(
    results: DistributedSpace,
    windows: Mapping[int, Window],
    shape: tuple[int, ...],
    boundary: Continuation = "zero",
) -> dict[int, View]:
    """Return how this rank comes to what its results see, along each axis that has a window. No communication.

    Along an axis that is not split, it holds everything, and continues that by the padding; a rank that holds nothing
    has nothing to continue.

    Parameters
    ----------
    results, windows, shape, boundary
        As for `roles_seen`.
    """
    intervals = results.layout.intervals_at(results.grid.world.rank)
    views = {}
    for axis, window in windows.items():
        extent = shape[axis]
        if intervals is None:
            views[axis] = View((0, 0), (0, 0), (0, 0))
        elif results.split_axes(axis):
            views[axis] = window.view(intervals[axis], extent, boundary)
        else:
            views[axis] = View((0, extent), window.padding, (0, extent + sum(window.padding)))
    return views
