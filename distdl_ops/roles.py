"""The four roles that a distributed space plays along one axis of a grid.

=================  ===========================================  =========================  ====================
role               what rank i of the axis holds                its pairing                ``E* E``
=================  ===========================================  =========================  ====================
`At` (i0)          the tensor if i = i0, else nothing           summed over ranks          I
`Split` (k)        the entries of tensor axis k in interval i   summed over ranks          I, or multiplicities
`Copies` ()        a copy of its own: p vectors                 summed over ranks          p I
`Replicated` ()    the one vector, stored everywhere            counted once               I
=================  ===========================================  =========================  ====================
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from distdl_ops.intervals import Intervals, Listed
from linop.arguments import checked
from linop.errors import ArgumentError

Boundary = Literal["zero", "periodic"]
"""What an interval finds outside the tensor: zeros, or the tensor again."""


class Role:
    """What a space does along one grid axis. Abstract: `At`, `Split`, `Copies` or `Replicated`.

    Examples
    --------
    >>> isinstance(Split(0), Role), At() == At(0)
    (True, True)
    """

    __slots__ = ()


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

    def __repr__(self) -> str:
        return "Replicated()"


@final
@dataclass(frozen=True)
class Split(Role):
    """Rank i holds the entries of one tensor axis in interval i.

    Parameters
    ----------
    axis : int
        Axis of the tensor.
    intervals : sequence of (start, stop), optional
        One for each rank of the grid axis; `balanced` by default. They may be uneven or empty, overlap, or reach
        beyond the tensor (a halo).
    boundary : {"zero", "periodic"}, optional
        What entries beyond the tensor are.

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
    """

    axis: int
    intervals: Intervals
    boundary: Boundary = "zero"

    @checked
    def __init__(
        self, axis: int, intervals: Intervals | Sequence[Sequence[int]] = (), boundary: Boundary = "zero"
    ) -> None:
        object.__setattr__(self, "axis", operator.index(axis))
        object.__setattr__(self, "intervals", intervals if isinstance(intervals, Intervals) else Listed(intervals))
        object.__setattr__(self, "boundary", boundary)
        if boundary not in ("zero", "periodic"):
            raise ArgumentError(f"Split({axis}): boundary must be 'zero' or 'periodic', found {boundary!r}")

    def __repr__(self) -> str:
        intervals = f", {self.intervals}" if self.intervals else ""
        return f"Split({self.axis}{intervals}{', periodic' if self.boundary == 'periodic' else ''})"
