"""Who sends which box to whom, and the sparse exchange that does it.

``M(S, T) = E_T E_S*`` reads: every rank adds its box of S into the logical tensor (a replicated vector counts once),
and every rank of T cuts its box out. So rank s sends rank t what their boxes have in common, and t adds up what it
receives. Boxes are products of slices, and the roles of different grid axes multiply: everything is found axis by axis,
so that a plan takes time and memory for its partners, not for all ranks.

It needs no communication: both ends of a message find the same boxes in the same order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.runs import Run, composed, inverted, paired_slices, slice_length
from distdl_ops.transfer.transfer import Box, Packing, Piece, Step, Transfer
from distdl_ops.worlds import World
from linop import arrays
from linop.arrays import Array

MOST_COMPARED = 64
"""Up to how many boxes are compared with each other."""


class Plan:
    """The messages of ``M(S, T)`` on this rank, and their execution.

    Parameters
    ----------
    source, target : Layout
        Of S and T.
    rank : int
        This rank.

    Attributes
    ----------
    sends : list of (rank, boxes)
        What goes to whom, in boxes of this rank's array of S.
    receives : list of (rank, boxes)
        What comes from whom, in boxes of this rank's array of T; this rank itself may be among them.
    """

    def __init__(self, source: Layout, target: Layout, rank: int) -> None:
        self.rank = me = rank
        self.shape = target.shape_at(me)
        served = _served_by(source, me, target)
        replicated = _replicated(source)
        sends = _partners(target, source.pieces_at(me), served, sending=True)
        self.sends: list[tuple[int, list[Box]]] = [
            each for each in sends if not replicated or _sends_to(source, me, each[0])
        ]
        nearest = {name: _nearest_replica(source, name, me) for name in replicated}
        self.receives = _partners(source, target.pieces_at(me), nearest, sending=False)
        # In an order that is the same for all replicas of a vector, whose sums then have the same bits: large boxes
        # first, for what nothing was added to yet need not be read.
        self.receives.sort(key=lambda receive: (-sum(map(_volume, receive[1])), receive[0]))
        boxes = [box for _, boxes in self.receives for box in boxes]
        untouched = [True] * len(boxes) if source.holds_once else _untouched(boxes)
        fresh, self._adds = iter(untouched), not all(untouched)
        held, to_itself = source.shape_at(me), [boxes for other, boxes in self.sends if other == me]
        arriving = [
            Piece(other, boxes, self.shape, [next(fresh) for _ in boxes], to_itself[0] if other == me else None)
            for other, boxes in self.receives
        ]
        self._outgoing = [Piece(other, boxes, held) for other, boxes in self.sends if other != me]
        self._own = [piece for piece in arriving if piece.rank == me and all(piece.fresh)]
        self._incoming = [piece for piece in arriving if piece not in self._own]
        filled = not self._adds and sum(piece.volume for piece in arriving) == math.prod(self.shape)
        self._make = arrays.empty if filled else arrays.zeros

    def run(self, x: Array, world: World, what: str, *, accumulate: bool = True) -> Array:
        """Move a vector.

        Parameters
        ----------
        x : array, shape ``(*batch, *source.shape)``
            What this rank holds of it.
        world : World
            Whose ranks the plan is for.
        what : str
            Which operation it is; see `World`.
        accumulate : bool, optional
            Whether what arrives for the same entry is added up. Otherwise the last rank's stays.

        Returns
        -------
        array, shape ``(*batch, *target.shape)``
            Fresh.
        """
        return self.start(x, world, what, accumulate=accumulate).finish()

    def start(self, x: Array, world: World, what: str, *, accumulate: bool = True) -> Transfer:
        """Begin to move a vector, which must not change until the transfer has finished; see `run`."""
        batch = x.shape[: x.ndim - len(self.shape)]
        y = self._make((*batch, *self.shape), x)
        total = arrays.widened(y) if self._adds and accumulate else y
        packing = Packing(world, batch, x)
        sends, receives = [], []
        steps: list[Step] = []
        for piece in self._outgoing:
            part = piece.in_place(x)
            sends.append((piece.rank, packing.pack(x, piece) if part is None else part))
        for piece in self._incoming:
            if piece.rank == self.rank:
                steps += piece.steps([x[index] for index in piece.sources], accumulate)
                continue
            part = piece.in_place(y) if total is y else None
            if part is None:
                part = packing.room(piece)
                steps += piece.steps(packing.boxes(part, piece), accumulate)
            receives.append((piece.rank, part))
        exchange = world.exchange(sends, receives, what)
        for piece in self._own:  # while messages travel
            for index, taken in zip(piece.indices, piece.sources, strict=True):
                total[index] = x[taken]
        return Transfer(exchange, packing, y, total, steps)


def _partners(
    layout: Layout, held: list[list[Run]] | None, only: Mapping[str, int] | None, *, sending: bool
) -> list[tuple[int, list[Box]]]:
    """Return the ranks of a layout, in order, that have entries of an array in common, and the boxes of these in it.

    Parameters
    ----------
    layout : Layout
        Of the partners.
    mine : list of list of Run, or None
        The runs of entries in the array, on every tensor axis; None of a rank that holds nothing.
    only : mapping of str to int, or None
        Coordinates that partners must have along some grid axes, because of replicas; None where there is no partner.
    sending : bool
        Whether the array is the source's. Boxes come in an order that is the same at both ends.
    """
    if held is None or only is None or not all(held):
        return []
    strides, stride = {}, 1
    for name in reversed(layout.axes):
        strides[name], stride = stride, stride * layout.axes[name]
    # Along each tensor axis, the places of partners, as far as its grid axes decide them, and what is in common there.
    common = [_meetings(layout, axis, runs, only, strides, sending=sending) for axis, runs in enumerate(held)]
    places = [0]
    for name, role in layout.roles.items():
        if role.axis is None:
            holders = role.holders(layout.axes[name])
            if name in only:
                holders = [only[name]] if only[name] in holders else []
            if len(holders) != 1 or holders[0] != 0:
                places = [place + k * strides[name] for place in places for k in holders]
    members = layout.places.members
    partners: list[tuple[int, list[Box]]] = []
    for meetings in itertools.product(*common):
        boxes = list(itertools.product(*(slices for _, slices in meetings)))
        start = sum(place for place, _ in meetings)
        partners += [(members[start + place], boxes) for place in places]
    partners.sort(key=lambda partner: partner[0])
    return partners


def _meetings(
    layout: Layout, axis: int, held: list[Run], only: Mapping[str, int], strides: Mapping[str, int], *, sending: bool
) -> list[tuple[int, list[slice]]]:
    """Return the parts of a tensor axis that meet runs of an array: their places on the grid, and slices of the array.

    The grid axes that split the tensor axis are gone through in order: of each, the coordinates that meet the runs, and
    the runs then in places of the part that they give.
    """
    parts: list[tuple[int, int, int, list[Run]]] = [(0, 0, layout.shape[axis], held)]  # place, number, extent, runs
    for name in layout.split_axes(axis):
        length, narrower = layout.axes[name], []
        for place, outer, extent, runs in parts:
            role = layout.roles[name].row(outer, length)
            for k in [only[name]] if name in only else role.meeting(runs, length, extent):
                meeting = composed(runs, inverted(role.runs(k, length, extent)))
                if meeting:
                    inside = role.length(k, length, extent)
                    narrower.append((place + k * strides[name], outer * length + k, inside, meeting))
        parts = narrower
    return [(place, _slices(meeting, sending=sending)) for place, _, _, meeting in parts]


def _slices(common: list[Run], *, sending: bool) -> list[slice]:
    """Return what an array has in common with another, as slices of it, in the order of the one that sends."""
    if sending:
        return [local for local, _ in paired_slices(common)]
    return [local for _, local in paired_slices([Run(remote, local, length) for local, remote, length in common])]


def _replicated(layout: Layout) -> list[str]:
    """Return the grid axes along which a layout is replicated."""
    return [name for name, role in layout.roles.items() if role.replicated]


def _served_by(source: Layout, sender: int, target: Layout) -> Mapping[str, int] | None:
    """Return what is known of the ranks that a replica serves: some coordinates on the target's grid; None without any.

    On the same grid they stand where the replica does. Where every rank of the target has the whole vector already, no
    rank serves another.
    """
    replicated, coordinates = _replicated(source), source.coordinates_of(sender)
    if coordinates is None:
        return None
    if source.same_grid(target):
        return {name: coordinates[name] for name in replicated}
    if len(replicated) == len(source.axes) and source.places.covers(target.places):
        return target.coordinates_of(sender)
    return {}


def _sends_to(source: Layout, sender: int, receiver: int) -> bool:
    """Say whether `sender` is the replica that sends to `receiver`; so it is where nothing is replicated."""
    coordinates = source.coordinates_of(sender)
    return coordinates is not None and all(
        coordinates[name] == _nearest_replica(source, name, receiver) for name in _replicated(source)
    )


def _nearest_replica(layout: Layout, name: str, rank: int) -> int:
    """Return the coordinate, along a replicated axis, of the replica that serves a rank: its own if it stands there."""
    coordinates = layout.coordinates_of(rank)
    return rank % layout.axes[name] if coordinates is None else coordinates[name]


def _volume(box: Box) -> int:
    """Return how many entries a box has."""
    return math.prod(map(slice_length, box))


def _untouched(boxes: list[Box]) -> list[bool]:
    """Return for each box whether it has no entry in common with those before it; False where that is not looked at."""
    if len(boxes) > MOST_COMPARED:
        return [False] * len(boxes)
    return [not any(_meet(box, other) for other in boxes[:k]) for k, box in enumerate(boxes)]


def _meet(box: Box, other: Box) -> bool:
    """Say whether two boxes have an entry in common."""
    return all(s.start < t.stop and t.start < s.stop for s, t in zip(box, other, strict=True))  # steps aside
