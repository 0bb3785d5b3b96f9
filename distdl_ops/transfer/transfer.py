"""A vector on its way between ranks: its messages, and what is to be done with them when they have arrived."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, final

from distdl_ops.layouts.runs import slice_length
from distdl_ops.worlds import Exchange, World
from linop import arrays
from linop.arrays import Array

Box = tuple[slice, ...]
"""What part of a rank's array: one slice for each tensor axis."""

Index = tuple[Any, ...]
"""The same of a batch of arrays."""


Step = tuple[Index, Array, bool]
"""What is written into the result: where, what, and whether it is assigned, not added."""


@final
class Piece:
    """The boxes that go to a rank, or come from it.

    Parameters
    ----------
    rank : int
        The other one; or this one, of what it keeps.
    boxes : list of box
        Of this rank's array.
    shape : tuple of int
        Shape of this rank's array.
    fresh : list of bool, optional
        For each box that comes, whether nothing was added to it before.
    sources : list of box, optional
        Where what this rank keeps comes from.
    """

    def __init__(
        self,
        rank: int,
        boxes: list[Box],
        shape: tuple[int, ...],
        fresh: list[bool] | None = None,
        sources: list[Box] | None = None,
    ) -> None:
        self.rank = rank
        self.indices: list[Index] = [(..., *box) for box in boxes]
        self.sources: list[Index] = [(..., *box) for box in sources or ()]
        self.shapes = [tuple(map(slice_length, box)) for box in boxes]
        self.volume = sum(math.prod(shape) for shape in self.shapes)
        self.fresh = [True] * len(boxes) if fresh is None else fresh
        self._alone = len(boxes) == 1 and self.fresh[0]
        self._whole = self.shapes == [shape]

    def in_place(self, x: Array) -> Array | None:
        """Return the one box of an array, where it lies in memory without gaps; else None."""
        if not self._alone:
            return None
        part = x if self._whole else x[self.indices[0]]
        return part if arrays.is_row_major(part) else None

    def steps(self, parts: Iterable[Array], accumulate: bool) -> list[Step]:
        """Return what is to be done with the boxes when they have come."""
        pieces = zip(self.indices, parts, self.fresh, strict=True)
        return [(index, part, fresh or not accumulate) for index, part, fresh in pieces]


@final
class Packing:
    """Memory for the pieces that cannot leave or land in place: box after box.

    Parameters
    ----------
    world : World
        From whose workspace it is borrowed.
    batch : tuple of int
        Batch axes of what is packed.
    like : array
        Of which library, dtype and device.
    """

    def __init__(self, world: World, batch: tuple[int, ...], like: Array) -> None:
        self._workspace, self._batch, self._like = world.workspace, tuple(batch), like
        self._copies = math.prod(batch)
        self._borrowed: list[Array] = []

    def room(self, piece: Piece) -> Array:
        """Return a buffer that a piece fits in."""
        size = self._copies * piece.volume
        self._borrowed.append(self._workspace.borrow(size, like=self._like))
        return self._borrowed[-1][:size]

    def pack(self, x: Array, piece: Piece) -> Array:
        """Return a copy of a piece of `x`."""
        buffer = self.room(piece)
        for box, index in zip(self.boxes(buffer, piece), piece.indices, strict=True):
            box[...] = x[index]
        return buffer

    def boxes(self, buffer: Array, piece: Piece) -> Iterator[Array]:
        """Yield the boxes of a piece in a buffer: views of it."""
        start = 0
        for shape in piece.shapes:
            stop = start + self._copies * math.prod(shape)
            yield arrays.reshape(buffer[start:stop], (*self._batch, *shape))
            start = stop

    def end(self) -> None:
        """Give the memory back."""
        for block in self._borrowed:
            self._workspace.give_back(block)


@final
class Transfer:
    """A vector on its way.

    Parameters
    ----------
    exchange : Exchange
        Its messages.
    packing : Packing
        Their memory.
    y, total : array
        The result, and where it is summed: the same, or in more digits.
    steps : list of Step
        What is still to be written.
    """

    def __init__(self, exchange: Exchange, packing: Packing, y: Array, total: Array, steps: list[Step]) -> None:
        self._exchange, self._packing, self._y, self._total, self._steps = exchange, packing, y, total, steps

    def finish(self) -> Array:
        """Wait for the messages, and return what this rank holds afterwards. Once only."""
        self._exchange.finish()
        for index, part, fresh in self._steps:
            if fresh:
                self._total[index] = part
            else:
                self._total[index] += part
        self._packing.end()
        if self._total is not self._y:
            self._y[...] = self._total
        return self._y
