r"""Products over windows that are computed while halos travel.

.. math:: f(H x) = \begin{pmatrix} f(H_i x) \\ f(H_b x) \end{pmatrix}, \qquad H_b = P\,\text{Finish}\,\text{Start}

The results in the interior see nothing but what the rank holds: :math:`H_i` cuts it out of its own part. Those at the
border see halos, too; P cuts and pads. Between the start of the exchange and its end, the interior is computed.
Autograd takes these steps in the opposite order: the border's gradients leave, the interior's are computed, and the
others' arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

import torch

from distdl_ops import DistributedSpace, Finish, Movement, Split, Start
from distdl_ops.intervals import Interval
from distdl_ops.windows import Window
from torch_bridge.module import Operator
from torch_bridge.nn.layer import nothing
from torch_bridge.nn.windows import Halo

Box = tuple[Interval, ...]
"""Intervals of this rank's results, counted from its first, along the axes that have windows."""


@final
class Overlap(torch.nn.Module):
    """Results of windows, the interior ones while the others' entries travel. Collective to build.

    Parameters
    ----------
    halo : Halo
        What it takes apart.
    movement : Movement
        That of the halos, between splits of the same axes.
    results, windows
        As in `Halo`.
    """

    def __init__(
        self, halo: Halo, movement: Movement, results: DistributedSpace, windows: Mapping[int, Window]
    ) -> None:
        super().__init__()
        domain = movement.domain
        self._halo = (halo,)  # in a tuple, torch does not find its modules twice
        self.start, self.finish = (Operator(half(domain, movement.codomain)) for half in (Start, Finish))
        self.windows = [windows[axis] for axis in sorted(windows)]
        split = {role.axis for role in domain.roles.values() if isinstance(role, Split)}
        rank = domain.grid.world.rank
        own, here = domain.layout.intervals_at(rank), results.layout.intervals_at(rank)
        self.all: Box = tuple((0, 0) for _ in self.windows)
        self.inner = self.all
        if own is None or here is None:
            return
        self.all = tuple((0, here[axis][1] - here[axis][0]) for axis in sorted(windows))
        first = {axis: here[axis][0] for axis in windows}
        inside = {a: _inside(w, own[a], here[a]) if a in split else here[a] for a, w in sorted(windows.items())}
        self.inner = tuple((start - first[axis], stop - first[axis]) for axis, (start, stop) in inside.items())
        cut = {a: w.needed(inside[a]) for a, w in windows.items() if a in split}
        self.cut = tuple(
            slice(cut[a][0] - own[a][0], cut[a][1] - own[a][0]) if a in cut else slice(None) for a in sorted(windows)
        )
        widths = [(0, 0) if axis in split else windows[axis].padding for axis in sorted(windows, reverse=True)]
        self.widths = [width for pair in widths for width in pair]

    def forward(
        self, x: torch.Tensor, product: Callable[[torch.Tensor], torch.Tensor], *, apart: bool = True
    ) -> torch.Tensor:
        """Return what a product over windows gives.

        Parameters
        ----------
        x : tensor, shape ``(*batch, *domain.shape)``
            This rank's part of the images.
        product : callable
            From images with one batch axis to results.
        apart : bool, optional
            Whether the product may be taken apart.
        """
        (halo,) = self._halo
        ticket = self.start(x)
        if not apart or any(start == stop for start, stop in self.inner):
            return product(halo.continued(self.finish(ticket)))
        images = x.reshape(-1, *x.shape[x.ndim - halo.ndim :])[(slice(None), slice(None), *self.cut)]
        y = product(halo.padded(images, self.widths))
        seen = halo.continued(self.finish(ticket))
        if self.inner == self.all:
            return y + nothing(y.shape, seen)
        for axis in reversed(range(len(self.all))):
            (start, stop), (_, end) = self.inner[axis], self.all[axis]
            sides = [
                product(self._needed(seen, (*self.inner[:axis], side, *self.all[axis + 1 :])))
                if side[0] < side[1]
                else None
                for side in ((0, start), (stop, end))
            ]
            pieces = [piece for piece in (sides[0], y, sides[1]) if piece is not None]
            y = torch.cat(pieces, dim=2 + axis) if len(pieces) > 1 else y
        return y

    def _needed(self, seen: torch.Tensor, box: Box) -> torch.Tensor:
        """Return what the results in a box see, of what this rank's see."""
        cut = (
            slice(a * w.stride, (b - 1) * w.stride + w.reach + 1) for w, (a, b) in zip(self.windows, box, strict=True)
        )
        return seen[(slice(None), slice(None), *cut)]


def overlap(halo: torch.nn.Module, results: DistributedSpace, windows: Mapping[int, Window]) -> Overlap | None:
    """Return how the computation of results overlaps with halos; None where nothing travels, or more than halos do.

    Parameters
    ----------
    halo, results, windows
        As in `Overlap`.
    """
    if not isinstance(halo, Halo) or not isinstance(halo.movement, Operator):
        return None
    movement = halo.movement.operator
    assert isinstance(movement, Movement)
    pairs = zip(movement.domain.roles.values(), movement.codomain.roles.values(), strict=True)
    halos_only = all(
        one == other
        or (isinstance(one, Split) and isinstance(other, Split) and one.axis == other.axis and one.axis in windows)
        for one, other in pairs
    )
    return Overlap(halo, movement, results, windows) if halos_only else None


def _inside(window: Window, own: Interval, results: Interval) -> Interval:
    """Return those of a rank's results that see nothing but its own entries."""
    start = -((own[0] + window.padding[0]) // -window.stride)
    stop = (own[1] - window.reach - 1 + window.padding[0]) // window.stride + 1
    start = min(max(start, results[0]), results[1])
    return start, max(start, min(stop, results[1]))
