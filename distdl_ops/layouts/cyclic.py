r"""The block-cyclic split: blocks of entries are dealt out to the ranks of a grid axis, round and round.

=========  ==========================================================
holds      rank :math:`f + k` (modulo p) the blocks :math:`k, k + p, k + 2p, \dots` of b entries each, in order
``E* E``   I: every entry lies on one rank
=========  ==========================================================

Where work moves through a tensor from one end to the other, as in the factorization of a matrix, all ranks keep having
something to do. Two grid axes in two such roles make ScaLAPACK's layout of a matrix.

Source: L. S. Blackford et al., *ScaLAPACK Users' Guide*, SIAM 1997, section 4.3.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from distdl_ops.layouts.intervals import Intervals
from distdl_ops.layouts.roles import Role
from distdl_ops.layouts.runs import Run
from linop.arguments import checked
from linop.errors import ArgumentError


@checked
@final
@dataclass(frozen=True)
class Cyclic(Role):
    """Blocks of one tensor axis are dealt out to the ranks, round and round.

    Parameters
    ----------
    axis : int
        Axis of the tensor.
    block : int, optional
        Entries of a block, one or more; the last block may have fewer.
    first : int, optional
        Coordinate on the grid axis that has the first block.

    Raises
    ------
    ArgumentError
        When a block has no entries.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (7,), p=Cyclic(0, block=2))
    ...     return S.from_global(np.arange(7)).tolist()
    >>> simulate(2, main)
    [[0, 1, 4, 5], [2, 3, 6]]
    """

    axis: int = field()  # without a default, unlike that of `Role`
    block: int = 1
    first: int = 0

    def __post_init__(self) -> None:
        for name in ("axis", "block", "first"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        if self.block < 1:
            raise ArgumentError(f"{self!r}: expected a block of one entry or more, found {self.block}")

    def fault(self, parts: int, extent: int) -> str | None:  # noqa: ARG002
        """Return that the first coordinate is not on the grid axis, where it is not; see `Role.fault`."""
        return None if 0 <= self.first < parts else f"expected first below {parts}"

    def length(self, k: int, parts: int, extent: int) -> int:
        """Return how many entries the blocks of a coordinate have; see `Role.length`."""
        blocks, rest = divmod(extent, self.block)
        place = (k - self.first) % parts
        return self.block * ((blocks - place + parts - 1) // parts) + (rest if blocks % parts == place else 0)

    def runs(self, k: int, parts: int, extent: int) -> list[Run]:
        """Return the blocks of a coordinate; see `Role.runs`."""
        starts = range((k - self.first) % parts * self.block, extent, parts * self.block)
        return [Run(i * self.block, start, min(self.block, extent - start)) for i, start in enumerate(starts)]

    def meeting(self, pieces: Sequence[Run], parts: int, extent: int) -> Sequence[int]:  # noqa: ARG002
        """Return the coordinates with blocks that meet some runs; see `Role.meeting`."""
        coordinates: set[int] = set()
        for _, start, length in pieces:
            blocks = range(start // self.block, -(-(start + length) // self.block))
            coordinates.update((self.first + j) % parts for j in blocks[:parts])
            if len(coordinates) == parts:
                break
        return sorted(coordinates)

    def intervals_over(self, parts: int, extent: int) -> Intervals | None:  # noqa: ARG002
        """Return None: a coordinate holds several intervals; see `Role.intervals_over`."""
        return None

    def indices(self, k: int, parts: int, extent: int) -> list[int | None]:
        """Return the entries of a coordinate one by one; see `Role.indices`."""
        return [i for i in range(extent) if (i // self.block + self.first) % parts == k]

    def rolled(self, steps: int, parts: int) -> Cyclic:
        """Return the role with the first block on another coordinate; see `Role.rolled`."""
        return Cyclic(self.axis, self.block, (self.first + steps) % parts)

    def stretched(self, parts: int, extent: int, to_parts: int, to_extent: int) -> Role | str:  # noqa: ARG002
        """Return the same; see `Role.stretched`."""
        return self if self.first < to_parts else f"rank {self.first} is not among {to_parts}"

    def __repr__(self) -> str:
        first = f", first={self.first}" if self.first else ""
        return f"Cyclic({self.axis}, {self.block}{first})"
