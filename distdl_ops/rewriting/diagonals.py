r"""Diagonals and movements: :math:`\mathrm{diag}(E_T d)\, M(S, T) = M(S, T)\, \mathrm{diag}(E_S d)` for a tensor d.

A diagonal moves to the side of a movement where a rank multiplies fewer numbers, or out from between two movements that
then become one.
"""

from __future__ import annotations

import numpy as np

from distdl_ops.advice.routes import cheapest_route
from distdl_ops.compositions.local import Local, lifted
from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.movement.movement import Movement
from distdl_ops.rewriting.movements import in_threes
from distdl_ops.spaces import DistributedSpace
from distdl_ops.transfer.plan import Plan
from linop import Compose, Cost, Diagonal, Euclidean, LinearOperator, claims, cost, rule
from linop import diagonal as entries_of
from linop.core.scale import scale


@rule(Local, Movement)
def diagonal_before(left: Local, right: Movement) -> LinearOperator | None:
    """``diag(E_T d) M(S, T) = M(S, T) diag(E_S d)`` for a tensor d: the smaller side is multiplied."""
    moved = _carried(left, right.domain) if _part(right.domain) < _part(right.codomain) else None
    return None if moved is None else right @ moved


@rule(Movement, Local)
def diagonal_after(left: Movement, right: Local) -> LinearOperator | None:
    """``M(S, T) diag(E_S d) = diag(E_T d) M(S, T)`` for a tensor d: the smaller side is multiplied."""
    moved = _carried(right, left.codomain) if _part(left.codomain) < _part(left.domain) else None
    return None if moved is None else moved @ left


@rule(Compose)
def diagonal_out_of_the_way(node: Compose) -> LinearOperator | None:
    """``M(S, T) diag(E_S d) M(R, S) = c_S diag(E_T d) M(R, T)`` for a tensor d: two movements meet."""
    return in_threes(node, _meet_around)


def _meet_around(left: LinearOperator, middle: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Return what two movements are with the diagonal between them outside; None where that is not cheaper."""
    if not (isinstance(left, Movement) and isinstance(middle, Local) and isinstance(right, Movement)):
        return None
    held = multiplicity(middle.domain.layout).constant if _is_diagonal(middle) else None
    if held is None:
        return None
    fused = cheapest_route(right.domain, left.codomain)
    space = min(left.codomain, right.domain, key=_part)
    share, whole = _part(space), max(_part(middle.domain), 1)
    outside = Cost(cost(middle).flops * share // whole, cost(middle).bytes * share // whole)
    if not cost(fused) + outside < cost(left) + cost(middle) + cost(right):
        return None
    moved = _carried(middle, space)
    if moved is None:
        return None
    return scale(held, moved @ fused if space is left.codomain else fused @ moved)


def _part(space: DistributedSpace) -> int:
    return space.layout.largest_part


def _is_diagonal(local: Local) -> bool:
    """Say whether a local operator multiplies entry by entry, on every rank."""
    return local.domain == local.codomain and claims.DIAGONAL in local.claims


def _carried(local: Local, target: DistributedSpace) -> Local | None:
    """Return the diagonal ``E_T d`` of a local operator ``E_S d``; None where it is not the layout of one tensor.

    Collective: the entries are moved from S to T, once.
    """
    source = local.domain
    if not _is_diagonal(local) or source.size != source.layout.size:  # real and imaginary parts may differ
        return None
    kind = np.dtype("c16" if source.dtype.kind == "c" else "f8")
    operator = local.operator
    entries = operator.entries if isinstance(operator, Diagonal) else entries_of(operator)
    entries = np.asarray(entries, kind).reshape(source.shape)
    world = source.grid.world
    if not source.layout.holds_once:  # what is held several times must be the same everywhere
        again = Plan(source.layout, source.layout, world.rank)
        same, inside = (again.run(x, world, "simplify", accumulate=False) for x in (entries, np.ones(source.shape)))
        if not all(world.allgather(bool(np.all((same == entries) | (inside == 0))), "simplify")):
            return None
    moved = Plan(source.layout, target.layout, world.rank).run(entries, world, "simplify", accumulate=False)
    return lifted(target, target, Diagonal(moved, Euclidean(target.shape, target.dtype)), simple=local.simple)
