"""Who sends which box to whom: an expression as a picture.

Each row is a vector on its way, each column a rank; a cell shows the tensor, and what the rank holds of it. A box has
the colour of the rank that it came from in the step above: lines lead there. Where parts of several ranks are added, a
box has stripes of their colours.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

from distdl_ops.advice.cost import ParallelCost
from distdl_ops.layouts.describe import counted, role_in_words, short
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.runs import Run, composed
from distdl_ops.movement.movement import Movement
from distdl_ops.show.explain import steps_of
from distdl_ops.show.pictures import colour, new_figure
from distdl_ops.spaces import DistributedSpace
from distdl_ops.transfer.plan import Plan
from distdl_ops.transfer.transfer import Box
from linop import LinearOperator, SpaceError, Sum, cost
from linop.arguments import checked

MOST_RANKS = 10
"""How many ranks are drawn at most: more are no longer legible."""

GAP = 0.16
"""Between two cells, in widths of a cell."""


@checked
def draw(operator: LinearOperator, *, at: Sequence[int] | None = None) -> Any:
    """Draw who sends which box of the tensor to whom, step by step from the top. No communication. Needs matplotlib.

    Parameters
    ----------
    operator : LinearOperator
        A movement, or a product of movements and local operators, with or without a number. Of a sum, each term is
        drawn beside the others.
    at : sequence of int, optional
        One index for each axis of the tensor: of a tensor of three axes or more, the slice through this place is drawn,
        along the two axes that are split first. The middle by default.

    Returns
    -------
    matplotlib.figure.Figure
        The first ten ranks.

    Raises
    ------
    SpaceError
        When the operator is no product of such steps, or a place is not in the tensor.

    Examples
    --------
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=4), (8,), p=Split(0))
    ...     return draw(Movement(S, S.with_roles(p=Copies())))
    >>> figure = simulate(4, main)[0]
    >>> [text.get_text() for text in figure.axes[0].texts][:4]
    ['rank 0', 'rank 1', 'rank 2', 'rank 3']
    """
    terms = operator.terms if isinstance(operator, Sum) else (operator,)
    ways = [_Way(term, at) for term in terms]
    width = sum(way.width for way in ways)
    figure, axes = new_figure((width, max(way.height for way in ways)), [way.width for way in ways])
    for way, ax in zip(ways, [axes] if len(ways) == 1 else axes, strict=True):
        way.draw(ax)
    return figure


@final
@dataclass(frozen=True)
class _Part:
    """A box of what a rank holds, in the places of the tensor, and who sent it."""

    box: tuple[tuple[int, int], ...]
    senders: tuple[int, ...]


class _Way:
    """A vector on its way through the steps of a product."""

    def __init__(self, operator: LinearOperator, at: Sequence[int] | None) -> None:
        self.title = str(operator)
        self.steps = steps_of(operator)
        spaces = [self.steps[0].domain, *(step.codomain for step in self.steps)]
        follow = all(a.codomain == b.domain for a, b in zip(self.steps, self.steps[1:], strict=False))
        if not follow or not all(isinstance(space, DistributedSpace) for space in spaces):
            raise SpaceError(
                f"draw: expected a product of movements and local operators, or a sum of such; found {operator}"
            )
        self.layouts = [space.layout for space in spaces if isinstance(space, DistributedSpace)]
        self.ranks = min(MOST_RANKS, max(layout.places.span for layout in self.layouts))
        self.shown = _shown_axes(self.layouts)
        self.at = tuple(n // 2 for n in self.layouts[0].shape) if at is None else tuple(at)
        shape = self.layouts[0].shape
        if len(self.at) != len(shape) or not all(0 <= i < max(n, 1) for i, n in zip(self.at, shape, strict=True)):
            raise SpaceError(f"draw: the tensor has shape {shape}, found a slice at {self.at}")
        self.cell = 0.34 if len(self.shown) < 2 else 0.9  # the height of a cell, in its widths
        self.pitch = self.cell + (0.62 if len(self.shown) < 2 else 0.75)

    @property
    def width(self) -> float:
        """In inches."""
        return 1.9 + 1.05 * self.ranks

    @property
    def height(self) -> float:
        """In inches: as wide a part of the picture is, so high is one."""
        rows = self.pitch * (len(self.layouts) - 1) + self.cell + 0.55
        return 0.32 + rows * self.width / (self.ranks * (1 + GAP) + 1.75)

    def draw(self, ax: Any) -> None:
        """Draw everything."""
        for rank in range(self.ranks):
            x, _ = self._corner(0, rank)
            ax.text(x + 0.5, 0.1, f"rank {rank}", ha="center", va="bottom", fontsize=9)
        for row, layout in enumerate(self.layouts):
            self._name_row(ax, row, layout)
            for rank in range(self.ranks):
                parts = list(self._parts(row, rank))
                self._draw_cell(ax, row, rank, parts)
                if row > 0 and isinstance(self.steps[row - 1], Movement):
                    self._draw_lines(ax, row, rank, {s for part in parts for s in part.senders if s < self.ranks})
        ax.set_xlim(-1.75, self.ranks * (1 + GAP))
        ax.set_ylim(-self.pitch * (len(self.layouts) - 1) - self.cell - 0.1, 0.45)
        ax.set_aspect("equal")
        ax.axis("off")
        ax.set_title(short(self.title, 16 + 12 * self.ranks) + self._notes(), fontsize=11, parse_math=False)

    def _notes(self) -> str:
        """Return what the picture leaves out: other slices, and other ranks."""
        shape, everyone = self.layouts[0].shape, max(layout.places.span for layout in self.layouts)
        places = [":" if axis in self.shown else str(self.at[axis]) for axis in range(len(shape))]
        notes = [f"[{', '.join(places)}]"] if len(self.shown) < len(shape) else []
        notes += [f"ranks 0 to {self.ranks - 1} of {everyone}"] if self.ranks < everyone else []
        return f"   ({'; '.join(notes)})" if notes else ""

    def _name_row(self, ax: Any, row: int, layout: Layout) -> None:
        """Write how a vector lies, beside its row, and above that by which step it came."""
        _, y = self._corner(row, 0)
        words = [f"{name}: {short(role_in_words(layout, name), 40)}" for name in layout.roles]
        roles = "\n".join(words).replace(" with ", "\nwith ")
        ax.text(-0.15, y - self.cell / 2, roles, ha="right", va="center", fontsize=8, linespacing=1.3)
        if row > 0:
            step = self.steps[row - 1]
            spent = cost(step)
            lines = [short(str(step), 28)]
            if isinstance(spent, ParallelCost):
                lines.append(f"{counted(spent.messages, 'message')}, {counted(spent.sent, 'byte')}")
            above = y + (self.pitch - self.cell) / 2
            ax.text(-0.15, above, "\n".join(lines), ha="right", va="center", fontsize=8, weight="bold")

    def _corner(self, row: int, rank: int) -> tuple[float, float]:
        """Return where the upper left corner of a cell is."""
        return rank * (1 + GAP), -row * self.pitch

    def _parts(self, row: int, rank: int) -> Iterator[_Part]:
        """Yield the boxes that a rank holds, and where they came from."""
        layout = self.layouts[row]
        held = layout.places_at(rank)
        if held is None or not all(held):
            return
        whole = list(itertools.product(*([(start, start + length) for _, start, length in runs] for runs in held)))
        step = self.steps[row - 1] if row else None
        if not isinstance(step, Movement):
            yield from (_Part(box, (rank,)) for box in whole)
            return
        boxes_from: dict[tuple[tuple[int, int], ...], list[int]] = {}
        for sender, boxes in Plan(self.layouts[row - 1], layout, rank).receives:
            for box in boxes:
                for place in _placed(box, held):
                    boxes_from.setdefault(place, []).append(sender)
        yield from (_Part(box, ()) for box in whole)  # what nothing is sent to is zero
        for place, senders in sorted(boxes_from.items(), key=lambda one: -_volume(one[0])):
            yield _Part(place, tuple(sorted(senders)))

    def _draw_cell(self, ax: Any, row: int, rank: int, parts: list[_Part]) -> None:
        """Draw the tensor, and the boxes in it."""
        from matplotlib.patches import Rectangle

        whole = tuple((0, n) for n in self.layouts[0].shape)
        ax.add_patch(Rectangle(*self._rectangle(row, rank, whole), facecolor="0.97", edgecolor="0.75", linewidth=0.8))
        drawn: list[_Part] = []
        for part in parts:
            if any(not start <= self.at[k] < stop for k, (start, stop) in enumerate(part.box) if k not in self.shown):
                continue
            (x, y), width, height = self._rectangle(row, rank, part.box)
            added = any(other.senders and _meet(other.box, part.box) for other in drawn)
            for k, sender in enumerate(part.senders):
                share = ((x + width * k / len(part.senders), y), width / len(part.senders), height)
                fill = "none" if added else colour(sender)
                ax.add_patch(
                    Rectangle(*share, facecolor=fill, edgecolor=colour(sender), hatch="//////" * added, linewidth=0)
                )
            ax.add_patch(Rectangle((x, y), width, height, facecolor="none", edgecolor="0.2", linewidth=0.9))
            label = "+".join(map(str, part.senders)) if len(part.senders) < 5 else f"{len(part.senders)} ranks"
            if len(label) * 0.085 < width and height > 0.16 and not added:
                around = {"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0}
                where = x + width / 2, y + height / 2
                ax.text(*where, label, ha="center", va="center", fontsize=8, zorder=3, bbox=around)
            drawn.append(part)

    def _draw_lines(self, ax: Any, row: int, rank: int, senders: set[int]) -> None:
        """Draw a line from each rank that sends to the one that receives."""
        thin = 1.3 if self.ranks < 7 else 0.8
        for sender in sorted(senders):
            (x, y), (left, above) = self._corner(row, rank), self._corner(row - 1, sender)
            line = (
                {"color": colour(sender), "linewidth": thin} if sender != rank else {"color": "0.8", "linewidth": 1.0}
            )
            shift = 0.5 + 0.06 * (sender - rank)  # lines that end at one rank do not end at one point
            end, start = (x + min(max(shift, 0.1), 0.9), y + 0.02), (left + 0.5, above - self.cell - 0.02)
            arrow = {"arrowstyle": "-|>", "mutation_scale": 5 * thin, "shrinkA": 0, "shrinkB": 0, **line}
            ax.annotate("", end, start, arrowprops=arrow, zorder=0.5)

    def _rectangle(
        self, row: int, rank: int, box: Sequence[tuple[int, int]]
    ) -> tuple[tuple[float, float], float, float]:
        """Return the lower left corner, width and height of a box in its cell."""
        x, y = self._corner(row, rank)
        vertical, horizontal = (None, None, *self.shown)[-2:]
        left, right = self._scaled(horizontal, box)
        top, bottom = self._scaled(vertical, box)
        return (x + left, y - self.cell * bottom), right - left, self.cell * (bottom - top)

    def _scaled(self, axis: int | None, box: Sequence[tuple[int, int]]) -> tuple[float, float]:
        """Return where a box begins and ends along an axis, from zero to one over all that any rank holds."""
        if axis is None:
            return 0.0, 1.0
        held = [runs[axis] for layout in self.layouts for r in layout.places.members if (runs := layout.places_at(r))]
        ends = [(start, start + length) for runs in held for _, start, length in runs if length]
        ends.append((0, self.layouts[0].shape[axis]))
        first, last = min(start for start, _ in ends), max(stop for _, stop in ends)
        return tuple((end - first) / max(last - first, 1) for end in box[axis])  # type: ignore[return-value]


def _shown_axes(layouts: list[Layout]) -> tuple[int, ...]:
    """Return the tensor axes that are drawn, two at most: those that are split anywhere, then the first ones."""
    split = [role.axis for layout in layouts for role in layout.roles.values() if role.axis is not None]
    return tuple(sorted([*dict.fromkeys([*split, *range(len(layouts[0].shape))])][:2]))


def _placed(box: Box, held: list[list[Run]]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield where a box of a rank's array lies, in the places of the tensor: in several boxes where it is cut."""
    axes = []
    for piece, runs in zip(box, held, strict=True):
        if piece.step is None:
            taken = [Run(0, piece.start, piece.stop - piece.start)]
        else:
            taken = [Run(0, place, 1) for place in range(piece.start, piece.stop, piece.step)]
        axes.append([(start, start + length) for _, start, length in composed(taken, runs)])
    return itertools.product(*axes)


def _volume(box: Sequence[tuple[int, int]]) -> int:
    volume = 1
    for start, stop in box:
        volume *= stop - start
    return volume


def _meet(box: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> bool:
    return all(a < d and c < b for (a, b), (c, d) in zip(box, other, strict=True))
