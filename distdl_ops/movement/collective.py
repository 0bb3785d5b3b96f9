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
from typing import Literal

from distdl_ops.grid import rank_at
from distdl_ops.roles import At, Copies, Replicated, Role
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
    if source.grid != target.grid:
        return None
    axes = source.layout.moving_axes(target.layout)
    found = [_kind(source.roles[axis], target.roles[axis]) for axis in axes]
    kinds = {kind for kind, _ in found}
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind is None:
        return None
    lengths = {axis: source.grid.axes[axis] for axis in axes}
    root = rank_at(lengths, {a: k for a, (_, k) in zip(axes, found, strict=True)})
    return Collective(kind, math.prod(lengths.values()), source.grid.line(tuple(axes)), root, target.shape)


def _kind(source: Role, target: Role) -> tuple[Kind | None, int]:
    """Return the collective along one axis, and its root's coordinate."""
    if isinstance(source, At) and isinstance(target, Copies | Replicated):
        return "broadcast", source.index
    if isinstance(source, Copies) and isinstance(target, At):
        return "reduce", target.index
    if isinstance(source, Copies) and isinstance(target, Copies | Replicated):
        return "allreduce", 0
    return None, 0
