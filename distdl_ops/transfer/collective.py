"""The real collective, where the roles of two spaces name one.

When S and T differ along some grid axes only, and all of these ask for the same collective, it runs on the ranks along
these axes. Everything else goes through the sparse exchange of a `Plan`, which gives the same result.

On few ranks the exchange serves here, too. It moves every piece once, out of place and into place, where a library's
tree or ring moves it several times; and it need not first compare what the ranks are about to do, for its messages say
so. Scatter, gather, all-gather and reduce-scatter send the same pieces as an exchange in any case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

from distdl_ops.grid import place_at
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.roles import Role
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds import World
from linop import arrays
from linop.arrays import Array

Kind = Literal["broadcast", "reduce", "allreduce"]

FEW: dict[Kind, int] = {"broadcast": 16, "reduce": 16, "allreduce": 4}
"""Up to how many ranks the exchange is used: it is faster there, small or large; see ``benchmarks/movements.py``."""


@dataclass(frozen=True)
class Collective:
    """A broadcast, reduction or all-reduction along some axes of a grid.

    Attributes
    ----------
    kind : {"broadcast", "reduce", "allreduce"}
        Which.
    ranks : int
        How many there are along these axes.
    line : World or None
        The ranks along these axes; None outside the grid.
    root : int
        Who sends, or receives, among them.
    shape : tuple of int
        What this rank holds afterwards.
    """

    kind: Kind
    ranks: int
    line: World | None
    root: int
    shape: tuple[int, ...]

    def run(self, x: Array, _: World, what: str) -> Array:
        """Move a vector; see `Plan.run`."""
        shape, line = (*arrays.split_batch(x, len(self.shape)), *self.shape), self.line
        if line is None or (self.kind == "reduce" and line.rank != self.root):
            y = arrays.zeros(shape, like=x)
        else:
            y = arrays.empty(shape, like=x)
        if line is None:
            return y
        if self.kind == "broadcast":
            if line.rank == self.root:
                y[...] = x
            line.broadcast(y, self.root, what)
        else:
            addend = x if arrays.is_row_major(x) else arrays.copy(x)
            if self.kind == "allreduce":
                line.allreduce(addend, y, what)
            else:
                line.reduce(addend, y if line.rank == self.root else None, self.root, what)
        return y


def collective(source: DistributedSpace, target: DistributedSpace) -> Collective | None:
    """Return the collective that is ``M(S, T)``; None where the roles name none."""
    how = named(source.layout, target.layout) if source.grid == target.grid else None
    if how is None:
        return None
    lengths = {axis: source.grid.axes[axis] for axis in source.layout.moving_axes(target.layout)}
    root = place_at(lengths, {axis: _root(source.roles[axis], target.roles[axis], lengths[axis]) for axis in lengths})
    return Collective(how.kind, how.ranks, source.grid.line(tuple(lengths)), root, target.shape)


@final
class Way(NamedTuple):
    """A kind of collective, and on how many ranks it runs at once."""

    kind: Kind
    ranks: int


def way(source: Layout, target: Layout) -> Way | None:
    """Return the collective by which ``M(S, T)`` is carried out; None where it is the exchange of its `Plan`.

    Examples
    --------
    >>> from distdl_ops.layouts.roles import Copies, Replicated
    >>> for p in (4, 1000):
    ...     S, T = (Layout({"rows": p}, (8,), {"rows": role}) for role in (Copies(), Replicated()))
    ...     print(way(S, T), way(T, S))
    None None
    Way(kind='allreduce', ranks=1000) None
    """
    how = named(source, target)
    return None if how is None or how.ranks <= FEW[how.kind] else how


def named(source: Layout, target: Layout) -> Way | None:
    """Return the collective that two layouts' roles name, the same along all that moves; None where there is none."""
    if not source.same_grid(target):
        return None
    moving = source.moving_axes(target)
    kinds = {
        _kind(s, t, length)
        for s, t, length in ((source.roles[axis], target.roles[axis], source.axes[axis]) for axis in moving)
        if length > 1 or s.axis is not None or t.axis is not None
    }
    kind = kinds.pop() if len(kinds) == 1 else None
    return None if kind is None else Way(kind, math.prod(source.axes[axis] for axis in moving))


def _kind(source: Role, target: Role, length: int) -> Kind | None:
    """Return the collective along one axis of this length: the roles split no tensor axis there."""
    if source.axis is not None or target.axis is not None:
        return None
    sends, receives = len(source.holders(length)), len(target.holders(length))
    if source.copies(length) == length:
        return "reduce" if receives == 1 else "allreduce"
    return "broadcast" if sends == 1 < receives else None


def _root(source: Role, target: Role, length: int) -> int:
    """Return the coordinate of the rank that sends to all, or receives from all; 0 where there is none."""
    alone = [role.holders(length)[0] for role in (source, target) if len(role.holders(length)) == 1]
    return alone[0] if alone else 0
