"""Who sends which box to whom, and the sparse exchange that does it.

``M(S, T) = E_T E_S*`` reads: every rank adds its box of S into the logical tensor (a replicated vector counts once),
and every rank of T cuts its box out. So rank s sends rank t what their boxes have in common, and t adds up what it
receives. Boxes are products of intervals, and the roles of different grid axes multiply: everything is found axis by
axis, so that a plan takes time and memory for its partners, not for all ranks.

It needs no communication: both ends of a message find the same boxes in the same order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from distdl_ops.flight import Box, Flight, Packing, Piece, Step
from distdl_ops.grid import coordinates_of, rank_at
from distdl_ops.layout import Layout, Run, runs
from distdl_ops.roles import At, Replicated, Split
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
        found = _partners(target, source.pieces_at(me), served, sending=True)
        self.sends: list[tuple[int, list[Box]]] = [each for each in found if _sends_to(source, me, each[0])]
        nearest = {name: _nearest_replica(source, name, me) for name in _replicated(source)}
        self.receives = list(_partners(source, target.pieces_at(me), nearest, sending=False))
        # In an order that is the same for all replicas of a vector, whose sums then have the same bits: large boxes
        # first, for what nothing was added to yet need not be read.
        self.receives.sort(key=lambda found: (-sum(map(_volume, found[1])), found[0]))
        boxes = [box for _, boxes in self.receives for box in boxes]
        untouched = [True] * len(boxes) if source.holds_once else _untouched(boxes)
        fresh, self._adds = iter(untouched), not all(untouched)
        held, here = source.shape_at(me), [boxes for other, boxes in self.sends if other == me]
        arriving = [
            Piece(other, boxes, self.shape, [next(fresh) for _ in boxes], here[0] if other == me else None)
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

    def start(self, x: Array, world: World, what: str, *, accumulate: bool = True) -> Flight:
        """Begin to move a vector, which must not change until the flight has finished; see `run`."""
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
            for index, there in zip(piece.indices, piece.sources, strict=True):
                total[index] = x[there]
        return Flight(exchange, packing, y, total, steps)


def _partners(
    layout: Layout, mine: list[list[Run]] | None, only: Mapping[str, int] | None, *, sending: bool
) -> Iterator[tuple[int, list[Box]]]:
    """Yield the ranks of a layout, in order, that have entries of an array in common, and the boxes of these in it.

    Parameters
    ----------
    layout : Layout
        Of the partners.
    mine : list of list of Run, or None
        The runs of entries in the array, on every tensor axis; None of a rank that holds nothing.
    only : mapping of str to int, or None
        Coordinates that partners must have along some grid axes, because of replicas; None where there is no partner.
    sending : bool
        Whether the array is the source's. Boxes come in the order of its runs: the same at both ends.
    """
    if mine is None or only is None or not all(mine):
        return
    # The slices in common on every tensor axis: they are known where it is not split, else they depend on coordinates.
    common = [[slice(run.local, run.local + run.length) for run in runs_here] for runs_here in mine]
    candidates: list[Sequence[int]] = []
    split: list[tuple[int, int, dict[int, list[slice]]]] = []  # place of the grid axis, tensor axis, slices
    for place, (name, role) in enumerate(layout.roles.items()):
        found: Sequence[int] = range(layout.axes[name])
        if isinstance(role, At):
            found = [role.index]
        elif name in only:
            found = [only[name]]
        elif isinstance(role, Split):
            found = layout.meeting(name, mine[role.axis])
        if isinstance(role, Split):
            slices = {k: _slices(layout, role, k, mine[role.axis], sending=sending) for k in found}
            found = [k for k in found if slices[k]]
            split.append((place, role.axis, slices))
        candidates.append(found)
    boxes: dict[tuple[int, ...], list[Box]] = {}  # shared by all partners along grid axes that split nothing
    for coordinates in itertools.product(*candidates):
        where = tuple([coordinates[place] for place, _, _ in split])
        if where not in boxes:
            for k, (_, axis, slices) in zip(where, split, strict=True):
                common[axis] = slices[k]
            boxes[where] = list(itertools.product(*common))
        yield rank_at(layout.axes, dict(zip(layout.axes, coordinates, strict=True))), boxes[where]


def _slices(layout: Layout, role: Split, coordinate: int, mine: list[Run], *, sending: bool) -> list[slice]:
    """Return what runs have in common with the interval at a coordinate of a grid axis, as slices of their array."""
    theirs = runs(role.intervals[coordinate], layout.shape[role.axis], role.boundary)
    if sending:
        return [here for here, _ in _overlaps(mine, theirs)]
    return [here for _, here in _overlaps(theirs, mine)]


def _replicated(layout: Layout) -> list[str]:
    """Return the grid axes along which a layout is replicated."""
    return [name for name, role in layout.roles.items() if isinstance(role, Replicated)]


def _served_by(source: Layout, sender: int, target: Layout) -> Mapping[str, int] | None:
    """Return what is known of the ranks that a replica serves: some coordinates on the target's grid; None without any.

    On the same grid they stand where the replica does. Where every rank of the target has the whole vector already, no
    rank serves another.
    """
    replicated, coordinates = _replicated(source), coordinates_of(source.axes, sender)
    if coordinates is None:
        return None
    if source.same_grid(target):
        return {name: coordinates[name] for name in replicated}
    if len(replicated) == len(source.axes) and target.ranks <= source.ranks:
        return coordinates_of(target.axes, sender)
    return {}


def _sends_to(source: Layout, sender: int, receiver: int) -> bool:
    """Say whether `sender` is the replica that sends to `receiver`; so it is where nothing is replicated."""
    coordinates = coordinates_of(source.axes, sender)
    return coordinates is not None and all(
        coordinates[name] == _nearest_replica(source, name, receiver) for name in _replicated(source)
    )


def _nearest_replica(layout: Layout, name: str, rank: int) -> int:
    """Return the coordinate, along a replicated axis, of the replica that serves a rank: its own if it stands there."""
    coordinates = coordinates_of(layout.axes, rank)
    return rank % layout.axes[name] if coordinates is None else coordinates[name]


def common_boxes(source: list[list[Run]] | None, target: list[list[Run]] | None) -> Iterator[tuple[Box, Box]]:
    """Yield the boxes that two ranks have in common, as slices of the one's array and of the other's."""
    if source is None or target is None:
        return
    axes = [list(_overlaps(s, t)) for s, t in zip(source, target, strict=True)]
    for pairs in itertools.product(*axes):
        yield tuple(s for s, _ in pairs), tuple(t for _, t in pairs)


def _overlaps(source: list[Run], target: list[Run]) -> Iterator[tuple[slice, slice]]:
    """Yield what two lists of runs on one axis have in common, as slices of the one's array and of the other's."""
    for s, t in itertools.product(source, target):
        first, last = max(s.start, t.start), min(s.start + s.length, t.start + t.length)
        if first < last:
            there, here = first - s.start + s.local, first - t.start + t.local
            yield slice(there, there + last - first), slice(here, here + last - first)


def _volume(box: Box) -> int:
    """Return how many entries a box has."""
    return math.prod(s.stop - s.start for s in box)


def _untouched(boxes: list[Box]) -> list[bool]:
    """Return for each box whether it has no entry in common with those before it; False where that is not looked at."""
    if len(boxes) > MOST_COMPARED:
        return [False] * len(boxes)
    return [not any(_meet(box, other) for other in boxes[:k]) for k, box in enumerate(boxes)]


def _meet(box: Box, other: Box) -> bool:
    """Say whether two boxes have an entry in common."""
    return all(s.start < t.stop and t.start < s.stop for s, t in zip(box, other, strict=True))
