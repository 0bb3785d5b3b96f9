r"""Every data movement is one formula.

=========  ==========================================================
map        :math:`M(S, T) = E_T E_S^*`
adjoint    :math:`M(S, T)^* = M(T, S)`
matrix     one row for each entry of T: ones where S has entries of the same place of the tensor
product    :math:`M(S, T)\, M(R, S) = c_S\, M(R, T)`, with c_S the product of the sizes of S's `Copies` axes, when no
           two intervals of S overlap and S misses no entry that R and T share
=========  ==========================================================

For one grid axis of p ranks, the pair of roles has a name:

==============  ============  =====================  ==============  ===============
from \\ to      At            Split                  Copies          Replicated
==============  ============  =====================  ==============  ===============
**At**          move          scatter                broadcast       broadcast
**Split**       gather        repartition, halo      all-gather      all-gather
**Copies**      sum-reduce    reduce-scatter         all-sum-reduce  all-reduce
**Replicated**  pick          slice                  copy            identity
==============  ============  =====================  ==============  ===============

Read the table transposed and you have every adjoint. An all-reduce (`Copies` to `Replicated`) and an all-sum-reduce
(`Copies` to `Copies`) run the same kernel and have different adjoints; only the spaces tell them apart.
"""

from __future__ import annotations

import functools
import math
from typing import final

from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.layouts.roles import At, Copies, Replicated, Role, Split
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.transfer.collective import Collective, collective, way
from distdl_ops.transfer.operation_name import Label
from distdl_ops.transfer.plan import Plan
from distdl_ops.worlds.agreement import agreed
from linop import LinearOperator, SpaceError, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims

NAMES: dict[tuple[type[Role], type[Role]], str] = {
    (At, At): "Move",
    (At, Split): "Scatter",
    (At, Copies): "Broadcast",
    (At, Replicated): "Broadcast",
    (Split, At): "Gather",
    (Split, Split): "Repartition",
    (Split, Copies): "AllGather",
    (Split, Replicated): "AllGather",
    (Copies, At): "SumReduce",
    (Copies, Split): "ReduceScatter",
    (Copies, Copies): "AllSumReduce",
    (Copies, Replicated): "AllReduce",
    (Replicated, At): "Pick",
    (Replicated, Split): "Slice",
    (Replicated, Copies): "Copy",
    (Replicated, Replicated): "Identity",
}
"""The table above."""


def name_of_pair(source: Role, target: Role) -> str:
    """Return what the table calls the movement from one role to another; a role that splits an axis is a `Split`."""
    one, other = (type(role) if role.axis is None else Split for role in (source, target))
    return NAMES[one, other]


@final
class Movement(LinearOperator):
    """The data movement ``M(S, T) = E_T E_S*`` between two layouts of a tensor. Collective.

    Parameters
    ----------
    source, target : DistributedSpace
        S and T: the same tensor shape and dtype, on grids over the same world.

    Raises
    ------
    SpaceError
        When the two spaces lay out different tensors.
    AgreementError
        When the ranks do not pass the same spaces.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Grid, simulate
    >>> def main(world):
    ...     grid = Grid(world, rows=2)
    ...     S = DistributedSpace(grid, (4,), rows=Split(0))
    ...     A = Movement(S, S.with_roles(rows=Copies()))
    ...     return str(A), A(S.from_global(np.arange(4.0))).tolist(), A.H == Movement(A.codomain, S)
    >>> simulate(2, main)[1]
    ('AllGather(rows)', [0.0, 1.0, 2.0, 3.0], True)
    """

    domain: DistributedSpace
    codomain: DistributedSpace

    @checked
    def __init__(self, source: DistributedSpace, target: DistributedSpace) -> None:
        require_spaces("Movement", source, target)
        world = source.grid.world
        agreed(world, "Movement", lambda: _check(source, target), describe=lambda _: f"{source!r} -> {target!r}")
        super().__init__(source, target)

    @functools.cached_property
    def _executor(self) -> _Executor:
        """Found when it is needed, without communication: of many movements only one direction is used."""
        return _Executor(self.domain, self.codomain)

    @property
    def exact(self) -> bool:
        """Always: entries are moved and added."""
        return True

    @property
    def roundings(self) -> int:
        """One for each rank whose entries may be added up."""
        return max(self.domain.grid.size, self.codomain.grid.size)

    @property
    def gain(self) -> float:
        """The norm: the root of how often an entry is held, by the source times by the target, at most."""
        source, target = multiplicity(self.domain.layout), multiplicity(self.codomain.layout)
        return math.sqrt(source.times(target).largest)

    @property
    def claims(self) -> Claims:
        """An isometry where the target holds each entry once, and so does the source; self-adjoint from S to S."""
        source, target = self.domain.layout, self.codomain.layout
        found = set()
        if source.holds_once and multiplicity(target).constant == 1:
            found.add(claims.ISOMETRY)
        if target.holds_once and multiplicity(source).constant == 1:
            found.add(claims.COISOMETRY)
        return frozenset(found) | (claims.SYMMETRY if self.domain == self.codomain else claims.NONE)

    @functools.cached_property
    def dual(self) -> Movement:
        """``M(T, S)``. No communication."""
        mirrored = movement_between(self.codomain, self.domain)
        mirrored.dual = self
        return mirrored

    def _apply(self, x: Array) -> Array:
        return self._executor.run(x)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain)

    def __str__(self) -> str:
        return name_movement(self.domain, self.codomain)


def movement_between(source: DistributedSpace, target: DistributedSpace) -> Movement:
    """Return ``Movement(source, target)`` without communication, of spaces that all ranks are known to agree on."""
    found = object.__new__(Movement)
    LinearOperator.__init__(found, source, target)
    return found


class _Executor:
    """What carries ``M(S, T)`` out: a collective, or the sparse exchange; and what it calls itself to other ranks."""

    def __init__(self, source: DistributedSpace, target: DistributedSpace) -> None:
        self.world = source.grid.world
        found = collective(source, target) if way(source.layout, target.layout) else None
        self.way: Collective | Plan = found or Plan(source.layout, target.layout, self.world.rank)
        self.label = Label(f"{name_movement(source, target)} : {source} -> {target}", source.ndim)

    def run(self, x: Array) -> Array:
        return self.way.run(x, self.world, self.label.of(x))


def name_movement(source: DistributedSpace, target: DistributedSpace) -> str:
    """Return what the field calls ``M(S, T)``, with the grid axes along which something moves.

    Examples
    --------
    >>> from distdl_ops import Grid, simulate
    >>> def main(world):
    ...     grid = Grid(world, rows=2, cols=2)
    ...     S = DistributedSpace(grid, (4,), rows=At(0), cols=Split(0))
    ...     return name_movement(S, S.with_roles(rows=Copies()))
    >>> simulate(4, main)[0]
    'Broadcast(rows)'
    """
    if source.grid != target.grid:
        return "Movement"
    names: dict[str, list[str]] = {}
    for axis in source.layout.moving_axes(target.layout):
        name = name_of_pair(source.roles[axis], target.roles[axis])
        if name == "Repartition" and not target.layout.holds_once_along(axis):
            name = "HaloExchange"
        elif name == "Repartition" and not source.layout.holds_once_along(axis):
            name = "HaloExchange.H"
        names.setdefault(name, []).append(axis)
    if not names:
        return "Identity"
    if len(names) == 1:
        ((name, axes),) = names.items()
        base, dot, adjoint = name.partition(".")
        return f"{base}({', '.join(axes)}){dot}{adjoint}"
    return f"Movement({', '.join(f'{axis}: {name}' for name, axes in names.items() for axis in axes)})"


def _check(source: DistributedSpace, target: DistributedSpace) -> None:
    """Raise unless the two spaces lay out the same tensor over the same world."""
    where = f"Movement : {source} -> {target}"
    if source.grid.world is not target.grid.world:
        raise SpaceError(f"{where}: the two grids are laid over different worlds")
    if source.global_shape != target.global_shape:
        raise SpaceError(f"{where}: the shapes {source.global_shape} and {target.global_shape} differ")
    if source.dtype != target.dtype:
        raise SpaceError(f"{where}: the dtypes {source.dtype} and {target.dtype} differ")
