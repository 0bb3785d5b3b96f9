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
from typing import Self, cast, final

import numpy as np

from distdl_ops.advice.cost import ParallelCost, Relay, as_laid_out, cost_on, cost_table, traffic
from distdl_ops.advice.movement_cost import movement_cost, movement_costs, movement_traffic
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.layouts.roles import At, Copies, Replicated, Role, Split
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.transfer.collective import Collective, collective, way
from distdl_ops.transfer.operation_name import OperationName
from distdl_ops.transfer.plan import Plan
from distdl_ops.worlds.agreement import agreed
from distdl_ops.worlds.world import Traffic
from linop import Identity, LinearOperator, SpaceError, claims, cost, rule
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.scale import scale

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


KINDS: dict[str, type[Movement]] = {}
"""The class of each name; a class is listed when it is defined."""


def name_of_pair(source: Role, target: Role) -> str:
    """Return what the table calls the movement from one role to another; a role that splits an axis is a `Split`."""
    one, other = (type(role) if role.axis is None else Split for role in (source, target))
    return NAMES[one, other]


class Movement(LinearOperator):
    """The data movement ``M(S, T) = E_T E_S*`` between two layouts of a tensor. Collective.

    Its class is the one that the pair of roles names, a `Broadcast`, say. Where several grid axes have pairs of several
    names, it is a `Movement` only.

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

    exact = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        KINDS[cls.__name__] = cls

    @checked
    def __new__(cls, source: DistributedSpace, target: DistributedSpace) -> Self:
        """Return the movement, of the class that its roles name."""
        require_spaces(cls.__name__, source, target)
        agreed(
            source.grid.world,
            "Movement",
            lambda: cls._require(source, target),
            describe=lambda _: f"{source!r} -> {target!r}",
        )
        return cast("Self", movement_between(source, target))

    def __init__(self, *_: object, **__: object) -> None:
        """Leave the movement as `__new__` has made it."""

    @classmethod
    @final
    def _require(cls, source: DistributedSpace, target: DistributedSpace) -> None:
        """Raise unless the spaces lay out one tensor over one world, with the roles of this class."""
        where = f"{cls.__name__} : {source} -> {target}"
        if source.grid.world is not target.grid.world:
            raise SpaceError(f"{where}: the two grids are laid over different worlds")
        if source.global_shape != target.global_shape:
            raise SpaceError(f"{where}: the shapes {source.global_shape} and {target.global_shape} differ")
        if source.dtype != target.dtype:
            raise SpaceError(f"{where}: the dtypes {source.dtype} and {target.dtype} differ")
        fault = cls._fault(source, target)
        if fault is not None:
            raise SpaceError(f"{where}: {fault}; as a Movement, this is {name_movement(source, target)}")

    @classmethod
    def _fault(cls, source: DistributedSpace, target: DistributedSpace) -> str | None:
        """Return why roles are not those of this class; None where they are. Those of a `Movement` may be any."""
        if cls is Movement:
            return None
        pairs = [f"{s.__name__} to {t.__name__}" for (s, t), name in NAMES.items() if name == cls.__name__]
        expected = f"expected {' or '.join(pairs)} along some grid axes, and the same roles along the others"
        if source.grid != target.grid:
            return f"expected one grid, found {source.grid} and {target.grid}"
        moving = source.layout.moving_axes(target.layout)
        for axis in moving:
            if name_of_pair(source.roles[axis], target.roles[axis]) != cls.__name__:
                return f"{expected}; found {source.roles[axis]!r} to {target.roles[axis]!r} along {axis!r}"
        return None if moving else f"{expected}; found the same roles along all of them"

    @functools.cached_property
    def _executor(self) -> _Executor:
        """Found when it is needed, without communication: of many movements only one direction is used."""
        return _Executor(self.domain, self.codomain)

    @property
    def roundings(self) -> int:
        """Number of roundings: one for each rank whose entries may be added up."""
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
        isometries = set()
        if source.holds_once and multiplicity(target).constant == 1:
            isometries.add(claims.ISOMETRY)
        if target.holds_once and multiplicity(source).constant == 1:
            isometries.add(claims.COISOMETRY)
        return frozenset(isometries) | (claims.SYMMETRY if self.domain == self.codomain else claims.NONE)

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
    names = names_along(source, target)
    kind = KINDS[next(iter(names)).partition(".")[0]] if len(names) == 1 else Movement
    movement = object.__new__(kind)
    LinearOperator.__init__(movement, source, target)
    return movement


class _Executor:
    """What carries ``M(S, T)`` out: a collective, or the sparse exchange; and what it calls itself to other ranks."""

    def __init__(self, source: DistributedSpace, target: DistributedSpace) -> None:
        self.world = source.grid.world
        how = collective(source, target) if way(source.layout, target.layout) else None
        self.way: Collective | Plan = how or Plan(source.layout, target.layout, self.world.rank)
        self.operation = OperationName(f"{name_movement(source, target)} : {source} -> {target}", source.ndim)

    def run(self, x: Array) -> Array:
        return self.way.run(x, self.world, self.operation.of(x))


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
    names = names_along(source, target)
    if not names:
        return "Identity" if source.grid == target.grid else "Movement"
    if len(names) > 1:
        return f"Movement({', '.join(f'{axis}: {name}' for name, axes in names.items() for axis in axes)})"
    ((name, axes),) = names.items()
    kind, dot, adjoint = name.partition(".")
    return f"{kind}({', '.join(axes)}){dot}{adjoint}" if axes else kind


def names_along(source: DistributedSpace, target: DistributedSpace) -> dict[str, list[str]]:
    """Return the names of what moves, and the grid axes along which it does; between two grids, along none."""
    S, T = source.layout, target.layout
    names: dict[str, list[str]] = {}
    if source.grid != target.grid:
        if all(name_of_pair(role, role) == "Move" for role in (*S.roles.values(), *T.roles.values())):
            names["Move"] = []
        elif S.is_partition and T.is_partition:
            names["Repartition"] = []
        return names
    for axis in S.moving_axes(T):
        s, t = S.roles[axis], T.roles[axis]
        name = name_of_pair(s, t)
        if name == "Repartition" and not T.holds_once_along(axis):
            name = "HaloExchange"
        elif name == "Repartition" and not S.holds_once_along(axis):
            name = "HaloExchange.H"
        elif name == "Repartition" and s.axis != t.axis and _divides(S, s) and _divides(T, t):
            name = "AllToAll"
        names.setdefault(name, []).append(axis)
    if set(names) == {"AllToAll", "Repartition"}:
        return {"Repartition": S.moving_axes(T)}
    return names


def _divides(layout: Layout, role: Role) -> bool:
    """Say whether every entry of the tensor axis that a role splits lies in one part, and nothing else does."""
    return role.axis is not None and layout.divides(role.axis)


# -- what it costs -----------------------------------------------------------------------------------------------------

cost.register(Movement, as_laid_out)


@cost_on.register
def _(operator: Movement, *, relaid: Relay) -> ParallelCost:
    source, target = operator.domain, operator.codomain
    return movement_cost(relaid(source.layout), relaid(target.layout), source.dtype.itemsize)


@cost_table.register
def _(operator: Movement) -> np.ndarray:
    source, target = operator.domain, operator.codomain
    return movement_costs(source.layout, target.layout, source.dtype.itemsize, source.grid.world.size)


@traffic.register
def _(operator: Movement) -> list[Traffic]:
    source, target = operator.domain, operator.codomain
    return movement_traffic(source.layout, target.layout, source.dtype.itemsize, source.grid.world.size)


# -- rules that need no costs; others are in distdl_ops.rewriting ------------------------------------------------------


@rule(Movement, Movement)
def there_and_back(left: Movement, right: Movement) -> LinearOperator | None:
    """``M(S, R) M(R, S) = c E_R E_R* = c I``, where S holds each entry c times, and R each of its own once."""
    held = multiplicity(left.domain.layout).constant
    back = left.codomain == right.domain and right.domain.layout.holds_once
    return scale(held, Identity(right.domain)) if back and held is not None else None


@rule(Movement)
def nothing_moves(node: Movement) -> LinearOperator | None:
    """``M(S, S) = E_S E_S* = I``, where S holds each entry of its vectors once."""
    return Identity(node.domain) if node.domain == node.codomain and node.domain.layout.holds_once else None
