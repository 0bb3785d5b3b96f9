r"""Which products of movements are one movement, or cheaper ones.

With the diagonal :math:`D_S = E_S^* E_S` of `multiplicity`, two movements are one, and a diagonal that costs no
communication:

.. math:: M(S, T)\, M(R, S) = E_T E_S^* E_S E_R^* = E_T D_S E_R^* = M(R, T)\, \mathrm{diag}(E_R d_S)

For copies and partitions D is a number, which comes to the front. All ranks decide alike: nothing here depends on one.
A rule holds for adjoints by itself: the adjoint of an equation is one.

A rule says what is the same. `linop.simplify` asks whether it is cheaper, and takes nothing that costs more. Rules that
make one movement of two, or two of one, ask themselves, so as not to go back and forth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from distdl_ops.advice.routes import cheapest_route, loses_nothing
from distdl_ops.compositions.local import diagonal
from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.layouts.roles import Role
from distdl_ops.movement.movement import Movement, movement_between
from distdl_ops.spaces import DistributedSpace, rearranged
from linop import Compose, LinearOperator, SpaceError, cost, rule
from linop.core.compose import compose
from linop.core.scale import scale


@rule(Movement, Movement)
def two_movements(left: Movement, right: Movement) -> LinearOperator | None:
    """``M(S, T) M(R, S) = M(R, T) diag(E_R d_S)``, where S holds entries d_S times; a number comes to the front."""
    source, target = right.domain, left.codomain
    held, fused = multiplicity(left.domain.layout), cheapest_route(source, target)
    if isinstance(fused, Compose) and not cost(fused) < cost(left) + cost(right):
        return None
    if held.constant is not None:
        return scale(held.constant, fused)
    if target.size < source.size:
        return diagonal(target, held.tensor()) @ fused
    return fused @ diagonal(source, held.tensor())


@rule(Movement)
def steps(node: Movement) -> LinearOperator | None:
    """``M(S, T) = M(X, T) M(S, X)`` where X holds each entry once, ``E_X* E_X = I``: steps may be cheaper."""
    route = cheapest_route(node.domain, node.codomain)
    return route if isinstance(route, Compose) and cost(route) < cost(node) else None


@rule(Compose)
def other_axes(node: Compose) -> LinearOperator | None:
    """Movements along different grid axes commute, ``A (I x B) A' = (I x B) A A'``: those along the same axes meet."""
    return in_threes(node, _meet_beyond)


def _meet_beyond(left: LinearOperator, middle: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Return what three movements are when the outer ones meet; None where that is not cheaper."""
    if not (isinstance(left, Movement) and isinstance(middle, Movement) and isinstance(right, Movement)):
        return None
    swapped = _swapped(middle, right) if _axes(left) == _axes(right) else None
    fused = None if swapped is None else two_movements(left, swapped[0])
    if swapped is None or fused is None:
        return None
    product = fused @ swapped[1]
    return product if cost(product) < cost(left) + cost(middle) + cost(right) else None


def in_threes(
    node: Compose, meet: Callable[[LinearOperator, LinearOperator, LinearOperator], LinearOperator | None]
) -> LinearOperator | None:
    """Return a product in which every three neighbours, from left to right, have met; None where none did."""
    done: list[LinearOperator] = []
    changed = False
    for factor in node.factors:
        done.append(factor)
        met = meet(*done[-3:]) if len(done) > 2 else None
        if met is not None:
            done[-3:] = [met]
            changed = True
    return reduce(compose, done) if changed else None


def _swapped(left: Movement, right: Movement) -> tuple[Movement, Movement] | None:
    """Return the two movements in the other order, that of the right one's axes first; None where they share axes."""
    moved, before = _axes(left), _axes(right)
    if not moved or not before or moved & before:
        return None
    roles = {name: (left.codomain if name in moved else right.domain).roles[name] for name in left.domain.roles}
    between = _space(right.domain, roles)
    # ``M(B, T) M(S, B) = M(S, T) = M(X, T) M(S, X)``, whatever splits what: B and X lose nothing, and hold it once.
    if between is None or not (loses_nothing(between.layout) and loses_nothing(left.domain.layout)):
        return None
    return movement_between(between, left.codomain), movement_between(right.domain, between)


def _axes(movement: Movement) -> set[str]:
    """Return the grid axes along which something moves; none between different grids."""
    source, target = movement.domain, movement.codomain
    return set(source.layout.moving_axes(target.layout)) if source.grid == target.grid else set()


def _space(space: DistributedSpace, roles: dict[str, Role]) -> DistributedSpace | None:
    """Return a space with other roles; None where they do not fit together: intervals of parts, say, without these."""
    try:
        return rearranged(space, roles)
    except SpaceError:
        return None
