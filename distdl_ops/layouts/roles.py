"""The roles that a distributed space plays along one axis of a grid.

=================  ===========================================  =========================  ====================
role               what rank i of the axis holds                its pairing                ``E* E``
=================  ===========================================  =========================  ====================
`At` (i0)          the tensor if i = i0, else nothing           summed over ranks          I
`Split` (k)        the entries of tensor axis k in interval i   summed over ranks          I, or multiplicities
`Copies` ()        a copy of its own: p vectors                 summed over ranks          p I
`Replicated` ()    the one vector, stored everywhere            counted once               I
=================  ===========================================  =========================  ====================

A role knows its own geometry: who holds what is asked of it, and nobody asks which class it is. `Cyclic`, in a file of
its own, is a fifth role.
"""

from __future__ import annotations

import copy
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np

from distdl_ops.layouts.intervals import Intervals, Listed, balanced, halo_of
from distdl_ops.layouts.runs import Boundary, Run, runs
from linop.arguments import checked
from linop.errors import ArgumentError


class Role:
    """What a space does along one grid axis. Abstract: `At`, `Split`, `Cyclic`, `Copies` or `Replicated`.

    A role of your own is a subclass that says what differs from the following: every coordinate of the grid axis holds
    all entries, as an array of its own that counts. In all methods, `parts` is the length of the grid axis, `k` a
    coordinate on it, and `extent` the number of entries that are divided: those of the tensor axis, or, where other
    grid axes split the same tensor axis before, those of the part that they give.

    Attributes
    ----------
    axis : int or None
        The tensor axis that the role splits; None where it splits none.
    boundary : {"zero", "periodic"}
        What a part has where it reaches beyond the ends.
    replicated : bool
        Whether all coordinates store one vector. Then the first one's counts.

    Examples
    --------
    >>> Split(0).axis, Copies().axis, Replicated().replicated
    (0, None, True)
    >>> Split(0).runs(1, parts=2, extent=5), Split(0).indices(1, parts=2, extent=5)
    ([Run(local=0, start=3, length=2)], [3, 4])
    """

    __slots__ = ()

    axis: int | None = None
    boundary: Boundary = "zero"
    replicated: ClassVar[bool] = False

    # -- along the grid axis ------------------------------------------------------------------------------------------

    def holders(self, parts: int) -> Sequence[int]:
        """Return the coordinates that hold anything, in order, if only a part of no entries."""
        return range(parts)

    def copies(self, parts: int) -> int:  # noqa: ARG002
        """Return how many independent vectors there are along the axis."""
        return 1

    def rolled(self, steps: int, parts: int) -> Role | None:  # noqa: ARG002
        """Return the role in which coordinate ``k + steps`` holds what k holds here, around; None without such one.

        Parameters
        ----------
        steps : int
            How far, upwards.
        parts : int
            Length of the grid axis.
        """
        return self

    # -- along the tensor axis ----------------------------------------------------------------------------------------

    def fault(self, parts: int, extent: int) -> str | None:  # noqa: ARG002
        """Return what keeps this role from dividing so many entries among so many parts; None where nothing does.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return None

    def filled(self, parts: int, extent: int) -> Role:  # noqa: ARG002
        """Return the role with everything that follows from these numbers filled in.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return self

    def nested(self, parts: int, outer: int) -> Role | str:  # noqa: ARG002
        """Return the role as one that divides each of so many parts; or why it cannot.

        Parameters
        ----------
        parts : int
            Length of the grid axis.
        outer : int
            How many parts there are before.
        """
        return self

    def is_default(self, parts: int, extent: int) -> bool:  # noqa: ARG002
        """Say whether the division is what `plain` makes.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return False

    def plain(self) -> Role:
        """Return the role with everything that can be left out left out."""
        return self

    def rows(self, parts: int) -> int:  # noqa: ARG002
        """Return for how many parts of grid axes before this one the division is given; 1 where it is one for all."""
        return 1

    def row(self, outer: int, parts: int) -> Role:  # noqa: ARG002
        """Return the division of the part with this number among those that grid axes before this one give.

        Parameters
        ----------
        outer : int
            Number of the part.
        parts : int
            Length of the grid axis.
        """
        return self

    def length(self, k: int, parts: int, extent: int) -> int:  # noqa: ARG002
        """Return how many entries a coordinate holds.

        Parameters
        ----------
        k : int
            Coordinate on the grid axis.
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return extent

    def lengths(self, parts: int, extent: int) -> Mapping[int, int]:
        """Return how many coordinates hold each number of entries.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return Counter(self.length(k, parts, extent) for k in range(parts))

    def sizes(self, parts: int, extent: int) -> np.ndarray:
        """Return how many entries each coordinate holds: integers of shape (parts,).

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return np.array([self.length(k, parts, extent) for k in range(parts)], np.int64)

    def runs(self, k: int, parts: int, extent: int) -> list[Run]:  # noqa: ARG002
        """Return which entries a coordinate holds, in the order of its array; what lies beyond the ends is left out.

        Parameters
        ----------
        k : int
            Coordinate on the grid axis.
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return [Run(0, 0, extent)] if extent else []

    def ends(self, parts: int, extent: int) -> np.ndarray:
        """Return where the runs of all coordinates begin and end: integers of shape (2, parts, runs), some empty.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return ends_of([self.runs(k, parts, extent) for k in range(parts)])

    def meeting(self, pieces: Sequence[Run], parts: int, extent: int) -> Sequence[int]:  # noqa: ARG002
        """Return the coordinates, in order, that hold entries of some runs.

        Parameters
        ----------
        pieces : sequence of Run
            In places of what is divided.
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return range(parts) if pieces else ()

    def holds_once(self, parts: int, extent: int) -> bool:  # noqa: ARG002
        """Say whether every held entry stands for one entry of its own: no coordinates hold the same, or more.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return True

    def intervals_over(self, parts: int, extent: int) -> Intervals | None:
        """Return the interval of each coordinate; None where some hold several, so that they are no intervals.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return Listed([(0, extent)] * parts)

    def indices(self, k: int, parts: int, extent: int) -> list[int | None]:
        """Return the entries that a coordinate holds one by one, None for a zero beyond the ends: the definition.

        Dense embeddings are made of it, against which everything else is tested; so it is written down by itself.

        Parameters
        ----------
        k : int
            Coordinate on the grid axis.
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        del k, parts
        return list(range(extent))

    def on(self, axis: int) -> Role:
        """Return the role that splits another tensor axis in the same way."""
        if self.axis is None or self.axis == axis:
            return self
        role = copy.copy(self)
        object.__setattr__(role, "axis", axis)
        return role

    # -- in words, and on other grids ---------------------------------------------------------------------------------

    def show(self, parts: int, extent: int) -> str:  # noqa: ARG002
        """Return the role as it is written; what goes without saying is left out.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return repr(self)

    def describe(self, parts: int, extent: int) -> str:
        """Return the role in words.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        """
        return self.show(parts, extent)

    def stretched(self, parts: int, extent: int, to_parts: int, to_extent: int) -> Role | str:  # noqa: ARG002
        """Return the same role on a longer or shorter grid axis, of more or fewer entries; or why there is none.

        Parameters
        ----------
        parts, extent : int
            Length of the grid axis, and how many entries are divided.
        to_parts, to_extent : int
            The same afterwards.
        """
        return self


def ends_of(pieces: Sequence[Sequence[Run]]) -> np.ndarray:
    """Return where lists of runs begin and end: integers of shape (2, lists, runs), empty ones where there are fewer.

    Examples
    --------
    >>> ends_of([[Run(0, 0, 2), Run(2, 4, 2)], [Run(0, 2, 2)]]).tolist()
    [[[0, 4], [2, 0]], [[2, 6], [4, 0]]]
    """
    table = np.zeros((2, len(pieces), max(map(len, pieces), default=1) or 1), np.int64)
    for number, each in enumerate(pieces):
        for place, (_, start, length) in enumerate(each):
            table[:, number, place] = start, start + length
    return table


@checked
@final
@dataclass(frozen=True)
class At(Role):
    """The rank at `index` holds the tensor; the others hold nothing, an array of size zero.

    Parameters
    ----------
    index : int, optional
        Coordinate on the grid axis.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     return DistributedSpace(Grid(world, p=2), (2,), p=At(1)).from_global(np.array([1.0, 2.0])).tolist()
    >>> simulate(2, main)
    [[], [1.0, 2.0]]
    """

    index: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", operator.index(self.index))

    def holders(self, parts: int) -> Sequence[int]:  # noqa: ARG002
        """Return the one coordinate that holds the tensor; see `Role.holders`."""
        return [self.index]

    def rolled(self, steps: int, parts: int) -> At:
        """Return the role at another coordinate; see `Role.rolled`."""
        return At((self.index + steps) % parts)

    def fault(self, parts: int, extent: int) -> str | None:  # noqa: ARG002
        """Return that the coordinate is not on the grid axis, where it is not; see `Role.fault`."""
        return None if 0 <= self.index < parts else f"expected an index below {parts}"

    def stretched(self, parts: int, extent: int, to_parts: int, to_extent: int) -> Role | str:  # noqa: ARG002
        """Return the same; see `Role.stretched`."""
        return self if self.index < to_parts else f"rank {self.index} is not among {to_parts}"

    def __repr__(self) -> str:
        return f"At({self.index})"


@final
@dataclass(frozen=True)
class Copies(Role):
    """Every rank holds a copy of its own, independent of the others: together p vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     return DistributedSpace(Grid(world, p=2), (2,), p=Copies()).from_global(np.array([1.0, 2.0])).tolist()
    >>> simulate(2, main)
    [[1.0, 2.0], [1.0, 2.0]]
    """

    def copies(self, parts: int) -> int:
        """Return how many vectors there are: one for each coordinate."""
        return parts

    def holds_once(self, parts: int, extent: int) -> bool:  # noqa: ARG002
        """Return False, also where there is one coordinate, so that a program does not change with their number."""
        return False

    def __repr__(self) -> str:
        return "Copies()"


@final
@dataclass(frozen=True)
class Replicated(Role):
    """Every rank stores the same one vector.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, simulate
    >>> def main(world):
    ...     return DistributedSpace(Grid(world, p=2), (2,), p=Replicated()).from_global(np.array([1.0, 2.0])).tolist()
    >>> simulate(2, main)
    [[1.0, 2.0], [1.0, 2.0]]
    """

    replicated: ClassVar[bool] = True

    def rolled(self, steps: int, parts: int) -> None:  # noqa: ARG002
        """Return None: one vector cannot go on to another rank; see `Role.rolled`."""
        return

    def __repr__(self) -> str:
        return "Replicated()"


@final
@dataclass(frozen=True, init=False)
class Split(Role):
    """Rank i holds the entries of one tensor axis in interval i.

    Where several grid axes split one tensor axis, each splits the part that those before it give, in the order of the
    grid's axes.

    Parameters
    ----------
    axis : int
        Axis of the tensor.
    intervals : sequence of (start, stop), optional
        One for each rank of the grid axis; `balanced` by default. They may be uneven or empty, overlap, or reach
        beyond the tensor (a halo). Where other grid axes split the same tensor axis before, they count from the
        beginning of the part: one row of intervals for all parts, or, one after the other, a row for each part.
    boundary : {"zero", "periodic"}, optional
        What entries beyond the tensor are; beyond the part, where others split the axis before.
    gaps : bool, optional
        Whether entries may lie in no interval, that is on no rank. Else that is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, simulate
    >>> def main(world, role):
    ...     return DistributedSpace(Grid(world, p=2), (3,), p=role).from_global(np.arange(1.0, 4.0)).tolist()
    >>> simulate(2, lambda world: main(world, Split(0)))
    [[1.0, 2.0], [3.0]]
    >>> simulate(2, lambda world: main(world, Split(0, [(-1, 2), (1, 4)], "periodic")))
    [[3.0, 1.0, 2.0], [2.0, 3.0, 1.0]]

    Two grid axes on one tensor axis:

    >>> def main(world):
    ...     grid = Grid(world, data=2, model=2)
    ...     S = DistributedSpace(grid, (7,), data=Split(0), model=Split(0, [(0, 1), (1, 4)]))
    ...     return S.from_global(np.arange(7)).tolist()
    >>> simulate(4, main)
    [[0], [1, 2, 3], [4], [5, 6, 0]]
    """

    axis: int
    intervals: Intervals
    boundary: Boundary = "zero"
    gaps: bool = field(default=False, compare=False)
    by_default: bool = field(default=False, compare=False, init=False)

    @checked
    def __init__(
        self,
        axis: int,
        intervals: Intervals | Sequence[Sequence[int]] = (),
        boundary: Boundary = "zero",
        gaps: bool = False,
    ) -> None:
        given = intervals if isinstance(intervals, Intervals) else Listed(intervals)
        for name, value in (
            ("axis", operator.index(axis)),
            ("intervals", given),
            ("boundary", boundary),
            ("gaps", bool(gaps)),
            ("by_default", not given),
        ):
            object.__setattr__(self, name, value)
        if boundary not in ("zero", "periodic"):
            raise ArgumentError(f"Split({axis}): boundary must be 'zero' or 'periodic', found {boundary!r}")

    def fault(self, parts: int, extent: int) -> str | None:
        """Return what is wrong with the intervals; see `Role.fault`."""
        if self.by_default:
            return None
        if len(self.intervals) != parts:
            return f"expected {parts} intervals, found {len(self.intervals)}"
        if extent == 0 and self.boundary == "periodic" and self.intervals.total > 0:
            return "an empty tensor axis cannot be periodic"
        if self.gaps or self.intervals.covers(extent):
            return None
        pieces = [piece for interval in self.intervals for piece in runs(interval, extent, self.boundary)]
        held = Listed([(start, start + length) for _, start, length in pieces])
        if held.covers(extent):
            return None
        first = next(i for i in range(extent) if not held.meeting(i, i + 1))
        return (
            f"entry {first} of {extent} lies in no interval, so that it would be on no rank; expected intervals "
            f"without gaps, or gaps=True"
        )

    def filled(self, parts: int, extent: int) -> Split:
        """Return the role with balanced intervals, where none were given; see `Role.filled`."""
        if not self.by_default:
            return self
        role = Split(self.axis, balanced(extent, parts), self.boundary)
        object.__setattr__(role, "by_default", True)
        return role

    def nested(self, parts: int, outer: int) -> Split | str:
        """Return the role without balanced intervals of the whole; see `Role.nested`."""
        if self.by_default:
            return self.plain()
        if len(self.intervals) in (parts, outer * parts):
            return self
        return f"expected {parts} intervals, or {outer * parts}, {parts} for each part; found {len(self.intervals)}"

    def is_default(self, parts: int, extent: int) -> bool:
        """Say whether the intervals are balanced; see `Role.is_default`."""
        return self.intervals_over(parts, extent) == balanced(extent, parts)

    def plain(self) -> Split:
        """Return the role with balanced intervals of whatever there is to be split."""
        return Split(self.axis, boundary=self.boundary)

    def rows(self, parts: int) -> int:
        """Return for how many parts there are intervals; see `Role.rows`."""
        return max(len(self.intervals) // parts, 1)

    def row(self, outer: int, parts: int) -> Split:
        """Return the intervals of a part; see `Role.row`."""
        if len(self.intervals) <= parts:
            return self
        return Split(self.axis, self.intervals[outer * parts : (outer + 1) * parts], self.boundary, self.gaps)

    def intervals_over(self, parts: int, extent: int) -> Intervals:
        """Return the intervals; see `Role.intervals_over`."""
        return self.intervals or balanced(extent, parts)

    def length(self, k: int, parts: int, extent: int) -> int:
        """Return how many entries an interval has; see `Role.length`."""
        start, stop = self.intervals_over(parts, extent)[k]
        return stop - start

    def lengths(self, parts: int, extent: int) -> Mapping[int, int]:
        """Return how many intervals have each length; see `Role.lengths`."""
        return self.intervals_over(parts, extent).lengths

    def sizes(self, parts: int, extent: int) -> np.ndarray:
        """Return the lengths of all intervals; see `Role.sizes`."""
        starts, stops = self.intervals_over(parts, extent).ends()
        return np.asarray(stops - starts)

    def runs(self, k: int, parts: int, extent: int) -> list[Run]:
        """Return what lies in an interval; see `Role.runs`."""
        return runs(self.intervals_over(parts, extent)[k], extent, self.boundary)

    def ends(self, parts: int, extent: int) -> np.ndarray:
        """Return the ends of all intervals, inside the tensor; see `Role.ends`."""
        if self.boundary == "periodic":
            return super().ends(parts, extent)
        return np.asarray(np.clip(self.intervals_over(parts, extent).ends(), 0, extent)[:, :, None])

    def meeting(self, pieces: Sequence[Run], parts: int, extent: int) -> Sequence[int]:
        """Return the coordinates whose intervals meet some runs; see `Role.meeting`."""
        intervals = self.intervals_over(parts, extent)
        if self.boundary == "zero" and len(pieces) == 1:
            ((_, start, length),) = pieces
            return intervals.meeting(start, start + length)
        lowest, highest = intervals.hull
        coordinates: set[int] = set()
        for _, start, length in pieces:
            # A periodic interval beyond the tensor sees the run again, whole turns away.
            first, last = (lowest - start - length) // extent + 1, -((start - highest) // extent)
            for turn in range(first, last) if self.boundary == "periodic" else [0]:
                coordinates.update(intervals.meeting(start + turn * extent, start + length + turn * extent))
            if len(coordinates) == parts:
                break
        return sorted(coordinates)

    def holds_once(self, parts: int, extent: int) -> bool:
        """Say whether no interval overlaps another or reaches beyond the tensor; see `Role.holds_once`."""
        intervals = self.intervals_over(parts, extent)
        lowest, highest = intervals.hull
        return intervals.apart and lowest >= 0 and highest <= extent

    def indices(self, k: int, parts: int, extent: int) -> list[int | None]:
        """Return the entries in an interval one by one; see `Role.indices`."""
        start, stop = self.intervals_over(parts, extent)[k]
        if self.boundary == "periodic":
            return [i % extent for i in range(start, stop)]
        return [i if 0 <= i < extent else None for i in range(start, stop)]

    def rolled(self, steps: int, parts: int) -> Split | None:  # noqa: ARG002
        """Return the role with the intervals on other coordinates; see `Role.rolled`."""
        return Split(self.axis, self.intervals.rolled(steps), self.boundary, True) if self.intervals else None

    def show(self, parts: int, extent: int) -> str:
        """Return the role; balanced intervals go without saying."""
        even = not self.intervals or self.intervals == balanced(extent, parts)
        return repr(self.plain() if even else self)

    def describe(self, parts: int, extent: int) -> str:
        """Return the role; of balanced intervals that are all as much wider, the widths of the halo."""
        halo = halo_of(self.intervals, extent) if len(self.intervals) == parts else None
        if halo is None or halo == (0, 0):
            return self.show(parts, extent)
        around = ", periodic" if self.boundary == "periodic" else ""
        return f"Split({self.axis}{around}) with halo {halo[0]}, {halo[1]}"

    def stretched(self, parts: int, extent: int, to_parts: int, to_extent: int) -> Role | str:
        """Return balanced intervals with the same halo; see `Role.stretched`."""
        if (parts, extent) == (to_parts, to_extent):
            return self
        if self.by_default:
            return self.plain()
        halo = halo_of(self.intervals, extent) if len(self.intervals) == parts else None
        if halo is None:
            return "the intervals are no balanced ones, nor with one halo"
        return Split(self.axis, balanced(to_extent, to_parts).widened(*halo), self.boundary, True)

    def __repr__(self) -> str:
        intervals = f", {self.intervals}" if self.intervals else ""
        return f"Split({self.axis}{intervals}{', periodic' if self.boundary == 'periodic' else ''})"
