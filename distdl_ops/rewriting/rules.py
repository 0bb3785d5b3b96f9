r"""What may be fused with what: the rewriting rules of movements and local operators; see `linop.simplify`.

With the diagonal :math:`D_S = E_S^* E_S` of `multiplicity`, two movements are one, and a diagonal that costs no
communication:

.. math:: M(S, T)\, M(R, S) = E_T E_S^* E_S E_R^* = E_T D_S E_R^* = M(R, T)\, \mathrm{diag}(E_R d_S)

For copies and partitions D is a number, which comes to the front. All ranks decide alike: nothing here depends on one.
A rule holds for adjoints by itself: the adjoint of an equation is one.

A rule says what is the same. Whether it is cheaper is asked by `linop.simplify`, which takes nothing that costs more;
rules that make one movement of two, or two of one, ask themselves, so as not to go back and forth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from distdl_ops.advice.cost import largest_part
from distdl_ops.advice.routes import in_steps, loses_nothing
from distdl_ops.compositions.local import Local, lifted, summed
from distdl_ops.layouts.multiplicity import multiplicity
from distdl_ops.layouts.roles import Role
from distdl_ops.movement.movement import Movement, movement_between
from distdl_ops.movement.shift import Shift
from distdl_ops.movement.start_finish import Finish, Start
from distdl_ops.spaces import DistributedSpace, rearranged
from distdl_ops.transfer.plan import Plan
from linop import (
    Compose,
    Cost,
    Diagonal,
    Euclidean,
    Identity,
    LinearOperator,
    Scale,
    SpaceError,
    Sum,
    claims,
    cost,
    rule,
    simplify,
)
from linop import diagonal as entries_of
from linop.core.compose import compose
from linop.core.scale import scale
from linop.core.sum import add
from linop.numbers import is_moderate

# -- movements ---------------------------------------------------------------------------------------------------------


@rule(Movement, Movement)
def there_and_back(left: Movement, right: Movement) -> LinearOperator | None:
    """``M(S, R) M(R, S) = c E_R E_R* = c I``, where S holds each entry c times, and R each of its own once."""
    held = multiplicity(left.domain.layout).constant
    back = left.codomain == right.domain and right.domain.layout.holds_once
    return scale(held, Identity(right.domain)) if back and held is not None else None


@rule(Movement, Movement)
def two_movements(left: Movement, right: Movement) -> LinearOperator | None:
    """``M(S, T) M(R, S) = M(R, T) diag(E_R d_S)``, where S holds entries d_S times; a number comes to the front."""
    source, target = right.domain, left.codomain
    held, fused = multiplicity(left.domain.layout), in_steps(source, target)
    if isinstance(fused, Compose) and not cost(fused) < cost(left) + cost(right):
        return None
    if held.constant is not None:
        return scale(held.constant, fused)
    if target.size < source.size:
        return diagonal(target, held.tensor()) @ fused
    return fused @ diagonal(source, held.tensor())


@rule(Finish, Start)
def no_work_between(left: Finish, right: Start) -> LinearOperator | None:
    """``E_T E_S* = M(S, T)``: without work between start and finish, they are one movement."""
    return left.movement if left.movement == right.movement else None


@rule(Movement)
def nothing_moves(node: Movement) -> LinearOperator | None:
    """``M(S, S) = E_S E_S* = I``, where S holds each entry of its vectors once."""
    return Identity(node.domain) if node.domain == node.codomain and node.domain.layout.holds_once else None


@rule(Movement)
def steps(node: Movement) -> LinearOperator | None:
    """``M(S, T) = M(X, T) M(S, X)`` where X holds each entry once, ``E_X* E_X = I``: steps may be cheaper."""
    found = in_steps(node.domain, node.codomain)
    return found if isinstance(found, Compose) and cost(found) < cost(node) else None


@rule(Compose)
def other_axes(node: Compose) -> LinearOperator | None:
    """Movements along different grid axes commute, ``A (I x B) A' = (I x B) A A'``: those along the same axes meet."""
    return _in_threes(node, _meet_beyond)


def _meet_beyond(left: LinearOperator, middle: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Return what three movements are when the outer ones meet; None where that is not cheaper."""
    if not (isinstance(left, Movement) and isinstance(middle, Movement) and isinstance(right, Movement)):
        return None
    swapped = _swapped(middle, right) if _axes(left) == _axes(right) else None
    fused = None if swapped is None else two_movements(left, swapped[0])
    if swapped is None or fused is None:
        return None
    found = fused @ swapped[1]
    return found if cost(found) < cost(left) + cost(middle) + cost(right) else None


def _in_threes(
    node: Compose, meet: Callable[[LinearOperator, LinearOperator, LinearOperator], LinearOperator | None]
) -> LinearOperator | None:
    """Return a product in which every three neighbours, from left to right, have met; None where none did."""
    done: list[LinearOperator] = []
    changed = False
    for factor in node.factors:
        done.append(factor)
        found = meet(*done[-3:]) if len(done) > 2 else None
        if found is not None:
            done[-3:] = [found]
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


@rule(Shift, Shift)
def two_shifts(left: Shift, right: Shift) -> LinearOperator | None:
    """``P^a P^b = P^(a + b)`` on a ring; on a line, where both go the same way."""
    same = left.axis == right.axis and left.periodic == right.periodic
    if not same or (not left.periodic and left.steps * right.steps < 0):
        return None
    return Shift(right.domain, left.steps + right.steps, left.axis, left.periodic)


@rule(Shift)
def no_shift(node: Shift) -> LinearOperator | None:
    """``P^0 = I``, and once around a ring."""
    around = node.steps % node.domain.grid.axes[node.axis] if node.periodic else node.steps
    return Identity(node.domain) if around == 0 and node.domain == node.codomain else None


# -- local operators ---------------------------------------------------------------------------------------------------


@rule(Local, Local)
def two_locals(left: Local, right: Local) -> LinearOperator | None:
    """``diag(A_i) diag(B_i) = diag(A_i B_i)``."""
    return left.after(right)


@rule(Local)
def number(node: Local) -> LinearOperator | None:
    """``diag(c I) = c I``: where every rank multiplies by the same number, it comes to the front."""
    return None if node.number is None or node.domain != node.codomain else scale(node.number, Identity(node.domain))


@rule(Local, LinearOperator)
def number_before(left: Local, right: LinearOperator) -> LinearOperator | None:
    """``diag(c I) A = c A``."""
    return None if left.number is None or left.domain != left.codomain else scale(left.number, right)


@rule(LinearOperator, Local)
def number_after(left: LinearOperator, right: Local) -> LinearOperator | None:
    """``A diag(c I) = A c``, which is ``c A`` where c commutes with A."""
    if right.number is None or right.domain != right.codomain:
        return None
    commutes = not isinstance(right.number, complex) or left.codomain.field == "complex"
    return scale(right.number, left) if commutes and is_moderate(right.number, left.codomain) else None


@rule(Local)
def inside(node: Local) -> LinearOperator | None:
    """What a rank does by itself is simplified by itself."""
    simpler = node.simplified()
    return None if simpler == node else simpler


@rule(Sum)
def sum_of_locals(node: Sum) -> LinearOperator | None:
    """``a diag(A_i) + b diag(B_i) = diag(a A_i + b B_i)``; an identity is one of them."""
    chosen = [term for term in node.terms if isinstance(_inner(term), Local | Identity)]
    total = summed(chosen) if len(chosen) > 1 else None
    rest = [term for term in node.terms if not isinstance(_inner(term), Local | Identity)]
    return None if total is None else reduce(add, [total, *rest])


def _inner(term: LinearOperator) -> LinearOperator:
    """Return a term without its number."""
    return term.operator if isinstance(term, Scale) and term.commutes else term


@rule(Scale)
def number_inside(node: Scale) -> LinearOperator | None:
    """``c diag(A_i) = diag(c A_i)``, where A_i has constants that take the number in."""
    factors = node.operator.factors if isinstance(node.operator, Compose) else (node.operator,)
    near = None if is_moderate(node.scalar, node.codomain) else 1  # a number that is not moderate stays where it is
    for k, factor in enumerate(factors[:near] if node.commutes else ()):
        if isinstance(factor, Local):
            scaled = lifted(factor.domain, factor.codomain, simplify(scale(node.scalar, factor.operator)))
            if cost(scaled) <= cost(factor):  # there are constants that took it in
                return reduce(compose, (*factors[:k], scaled, *factors[k + 1 :]))
    return None


# -- diagonals and movements -------------------------------------------------------------------------------------------


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
    return _in_threes(node, _meet_around)


def _meet_around(left: LinearOperator, middle: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    """Return what two movements are with the diagonal between them outside; None where that is not cheaper."""
    if not (isinstance(left, Movement) and isinstance(middle, Local) and isinstance(right, Movement)):
        return None
    held = multiplicity(middle.domain.layout).constant if _is_diagonal(middle) else None
    if held is None:
        return None
    fused = in_steps(right.domain, left.codomain)
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
    return largest_part(space.layout)


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
    own = local.operator
    entries = own.entries if isinstance(own, Diagonal) else entries_of(own)
    entries = np.asarray(entries, kind).reshape(source.shape)
    world = source.grid.world
    if not source.layout.holds_once:  # what is held several times must be the same everywhere
        again = Plan(source.layout, source.layout, world.rank)
        same, inside = (again.run(x, world, "simplify", accumulate=False) for x in (entries, np.ones(source.shape)))
        if not all(world.allgather(bool(np.all((same == entries) | (inside == 0))), "simplify")):
            return None
    moved = Plan(source.layout, target.layout, world.rank).run(entries, world, "simplify", accumulate=False)
    return lifted(target, target, Diagonal(moved, Euclidean(target.shape, target.dtype)), simple=local.simple)


def diagonal(space: DistributedSpace, entries: object) -> Local:
    """Return the multiplication of a distributed vector by a tensor, entry by entry. Collective.

    Parameters
    ----------
    space : DistributedSpace
        Domain and codomain.
    entries : numpy array, of the logical tensor's shape
        The same on every rank.
    """
    own = Euclidean(space.shape, space.dtype, space.field)
    return lifted(space, space, Diagonal(space.from_global(entries), own))
