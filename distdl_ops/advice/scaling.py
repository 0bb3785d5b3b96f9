"""What an expression would cost on other numbers of ranks, up to a million, without any of them.

Layouts are geometry. An expression's spaces are laid out on a grid with one axis longer or shorter: roles stay,
balanced intervals are balanced again, and halos keep their widths. Movements are then counted as ever. What a rank does
by itself is taken to grow with the entries that it holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, final

from distdl_ops.advice.cost import ParallelCost, Relay, cost_on, distributed
from distdl_ops.advice.machine import Machine
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.roles import Role
from distdl_ops.show.pictures import new_figure
from linop import LinearOperator, SpaceError
from linop.arguments import checked


@checked
def scaling(
    operator: LinearOperator,
    ranks: Sequence[int],
    *,
    axis: str | None = None,
    grow: int | None = None,
    machine: Machine | None = None,
) -> Scaling:
    """Return what an expression would cost on other numbers of ranks. Nothing runs, and nothing is sent.

    Parameters
    ----------
    operator : LinearOperator
        An expression on spaces over one grid.
    ranks : sequence of int
        Sizes of the grid.
    axis : str, optional
        The grid axis that becomes longer or shorter; the first one by default. The others keep their lengths.
    grow : int, optional
        The tensor axis that grows with the number of ranks (weak scaling). By default the tensor stays as it is.
    machine : Machine, optional
        For seconds.

    Returns
    -------
    Scaling
        Prints as a table; its `plot` is a figure.

    Raises
    ------
    SpaceError
        When a number of ranks does not fit the grid, or intervals follow no rule that could be kept.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (1000, 1000), rows=Split(0))
    ...     return scaling(HaloExchange(S, {0: (1, 1)}), [4, 40, 400])
    >>> print(simulate(2, main)[0])
         ranks  messages      bytes sent           flops     bytes moved   seconds
             4         2           16000               0         4016000   4.3e-04
            40         2           16000               0          416000   7.4e-05
           400         2           16000               0           64000   3.9e-05
    """
    space = distributed(operator.domain)
    grid = space.grid
    name = next(iter(grid.axes)) if axis is None else axis
    costs = [cost_on(operator, relaid=_relay(grid.axes, name, grow, p)) for p in ranks]
    return Scaling(str(operator), tuple(ranks), tuple(costs), machine or Machine())


@final
@dataclass(frozen=True)
class Scaling:
    """Costs against numbers of ranks.

    Attributes
    ----------
    title : str
        What was scaled.
    ranks : tuple of int
        Numbers of ranks.
    costs : tuple of ParallelCost
        Of the busiest rank.
    machine : Machine
        Makes seconds of them.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Movement, Split, scaling, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (64, 64), p=Split(0))
    ...     found = scaling(Movement(S, S.with_roles(p=Split(1))), [2, 8, 32])
    ...     return found.ranks, [cost.messages for cost in found.costs]
    >>> simulate(2, main)[0]
    ((2, 8, 32), [1, 7, 31])
    """

    title: str
    ranks: tuple[int, ...]
    costs: tuple[ParallelCost, ...]
    machine: Machine

    @property
    def seconds(self) -> tuple[float, ...]:
        """The time of one application, for each number of ranks."""
        return tuple(map(self.machine.seconds, self.costs))

    def __str__(self) -> str:
        lines = [f"{'ranks':>10}{'messages':>10}{'bytes sent':>16}{'flops':>16}{'bytes moved':>16}{'seconds':>10}"]
        for p, cost, seconds in zip(self.ranks, self.costs, self.seconds, strict=True):
            numbers = f"{cost.messages:>10}{cost.sent:>16}{cost.flops:>16}{cost.bytes:>16}"
            lines.append(f"{p:>10}{numbers}{seconds:>10.1e}")
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Draw seconds against ranks, and what they are made of. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.figure.Figure
        """
        figure, ax = (ax.figure, ax) if ax is not None else new_figure((6.4, 4.2))
        machine = self.machine
        shares = {
            "messages": [machine.alpha * cost.messages for cost in self.costs],
            "bytes sent": [machine.beta * cost.sent for cost in self.costs],
            "operations": [machine.gamma * cost.flops for cost in self.costs],
            "bytes in memory": [machine.delta * cost.bytes for cost in self.costs],
        }
        for (name, seconds), marker in zip(shares.items(), "osv^", strict=True):
            if any(seconds):
                shown = [t if t > 0 else math.nan for t in seconds]
                ax.plot(self.ranks, shown, marker=marker, markersize=4, linewidth=1.2, label=name)
        ax.plot(self.ranks, self.seconds, color="0.75", linewidth=6, label="all together", zorder=1)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("ranks")
        ax.set_ylabel("seconds of the busiest rank")
        ax.set_title(self.title if len(self.title) < 64 else f"{self.title[:60]} ...", fontsize=10, parse_math=False)
        ax.minorticks_off()
        ax.set_axisbelow(True)
        ax.grid(color="0.9")
        ax.legend(fontsize=9, frameon=False)
        return figure


def _relay(axes: dict[str, int], name: str, grow: int | None, ranks: int) -> Relay:
    """Return what lays tensors out on so many ranks."""
    if name not in axes:
        raise SpaceError(f"scaling: expected an axis of the grid, one of {', '.join(axes)}; found {name!r}")
    others = math.prod(length for other, length in axes.items() if other != name)
    length, rest = divmod(ranks, others)
    if rest or length < 1:
        raise SpaceError(f"scaling: {ranks} ranks are no multiple of {others}, the other axes of the grid {axes}")

    def relaid(layout: Layout) -> Layout:
        if layout.axes != axes:
            raise SpaceError(f"scaling: expected one grid, found {layout.axes} beside {axes}")
        shape = list(layout.shape)
        if grow is not None:
            if not 0 <= grow < len(shape):
                raise SpaceError(f"scaling: the tensor has axes 0 to {len(shape) - 1}, found {grow} to grow")
            shape[grow] = shape[grow] * length // axes[name]
        roles = {other: _role(layout, other, shape, length if other == name else axes[other]) for other in axes}
        return Layout({**axes, name: length}, tuple(shape), roles)

    return cache(relaid)


def _role(layout: Layout, name: str, shape: list[int], length: int) -> Role:
    """Return the role along a grid axis of another length, of a tensor of another shape."""
    role = layout.roles[name]
    before, after = (0, 0) if role.axis is None else (layout.shape[role.axis], shape[role.axis])
    stretched = role.stretched(layout.axes[name], before, length, after)
    if isinstance(stretched, str):
        raise SpaceError(f"scaling: {layout}: along {name!r}, {stretched}")
    return stretched
