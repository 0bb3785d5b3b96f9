"""The real collective, where the roles of two spaces name one.

When S and T differ along some grid axes only, and all of these ask for the same collective, it runs on the ranks along
these axes. Everything else goes through the sparse exchange of a `Plan`, which gives the same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from distdl_ops.grid import rank_at
from distdl_ops.roles import At, Copies, Replicated, Role
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds import World
from linop import arrays
from linop.arrays import Array

Kind = Literal["broadcast", "reduce", "allreduce"]


@dataclass(frozen=True)
class Collective:
    """A broadcast, reduction or all-reduction along some axes of a grid.

    Attributes
    ----------
    kind : {"broadcast", "reduce", "allreduce"}
        Which.
    world : World or None
        The ranks along these axes; None outside the grid.
    root : int
        Who sends, or receives, among them.
    shape : tuple of int
        What this rank holds afterwards.
    """

    kind: Kind
    world: World | None
    root: int
    shape: tuple[int, ...]

    def run(self, x: Array, what: str) -> Array:
        """Move a vector; see `Plan.run`."""
        batch = arrays.split_batch(x, len(self.shape))
        if self.world is None:
            return arrays.zeros((*batch, *self.shape), like=x)
        if self.kind == "broadcast":
            y = arrays.copy(x) if self.world.rank == self.root else arrays.empty((*batch, *self.shape), like=x)
            self.world.broadcast(y, self.root, what)
            return y
        y = arrays.copy(x)
        if self.kind == "allreduce":
            self.world.allreduce(y, what)
            return y
        self.world.reduce(y, self.root, what)
        return y if self.world.rank == self.root else arrays.zeros((*batch, *self.shape), like=x)


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
    root = rank_at(
        {axis: source.grid.axes[axis] for axis in axes}, {a: k for a, (_, k) in zip(axes, found, strict=True)}
    )
    return Collective(kind, source.grid.line(tuple(axes)), root, target.shape)


def _kind(source: Role, target: Role) -> tuple[Kind | None, int]:
    """Return the collective along one axis, and its root's coordinate."""
    if isinstance(source, At) and isinstance(target, Copies | Replicated):
        return "broadcast", source.index
    if isinstance(source, Copies) and isinstance(target, At):
        return "reduce", target.index
    if isinstance(source, Copies) and isinstance(target, Copies | Replicated):
        return "allreduce", 0
    return None, 0
