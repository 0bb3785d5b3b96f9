r"""Shift: every rank of a grid axis gives its array to the rank some steps on.

=========  ==========================================================
map        :math:`(Z x)_{i + s} = x_i` for the arrays :math:`x_i` of the ranks i of the axis: on a ring, modulo p; else,
           what would leave the axis is dropped, and zeros arrive at its other end
adjoint    the shift by -s
matrix     a permutation of blocks, a circulant where they are alike; off the ring, some of them are zero
=========  ==========================================================

On a ring the operator is unitary; else it is a partial isometry, :math:`Z Z^* Z = Z`.

This is no movement ``E_T E_S*``: of `Copies`, that would add up p vectors, and of overlapping intervals, what they have
in common. A shift leaves every array as it is. Only where intervals do not overlap, the ring shift is the `Repartition`
to the same intervals on other ranks.
"""

from __future__ import annotations

import math
import operator
from typing import final

from distdl_ops.advice.cost import ParallelCost, Relay, as_laid_out, cost_on, traffic
from distdl_ops.layouts.roles import Role
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.transfer.operation_name import OperationName
from distdl_ops.worlds.agreement import agreed
from distdl_ops.worlds.world import Traffic
from linop import Identity, LinearOperator, SpaceError, arrays, claims, cost, rule
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims


@final
class Shift(LinearOperator):
    """The map that gives every rank's array to the rank some steps on along a grid axis. Collective to build.

    The codomain says what arrives: along the axis, `Copies` stay what they are; of a `Split`, the intervals travel with
    the arrays, so that rank ``i + steps`` has interval i, also where the intervals are uneven; ``At(i)`` becomes ``At(i
    + steps)``. It is the same with a ring and without: where zeros arrive, they have the shape of what would have
    arrived around the ring.

    Parameters
    ----------
    space : DistributedSpace
        The domain: not replicated along the axis, for one vector has no other place to go.
    steps : int
        How far, upwards; negative ones go downwards. May be more than the axis is long.
    axis : str
        Name of the grid axis.
    periodic : bool, optional
        Whether the axis is a ring. Otherwise, what leaves it is lost.

    Raises
    ------
    SpaceError
        When the grid has no such axis, the space is replicated along it, or the number of steps is not whole.
    AgreementError
        When the ranks do not pass the same arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=3), (5,), rows=Split(0))
    ...     ring, line = Shift(S, 1, "rows"), Shift(S, 1, "rows", periodic=False)
    ...     x = S.from_global(np.arange(1.0, 6.0))
    ...     return x.tolist(), ring(x).tolist(), line(x).tolist(), str(ring.H)
    >>> for found in simulate(3, main):
    ...     print(*found)
    [1.0, 2.0] [5.0] [0.0] Shift(rows, -1)
    [3.0, 4.0] [1.0, 2.0] [1.0, 2.0] Shift(rows, -1)
    [5.0] [3.0, 4.0] [3.0, 4.0] Shift(rows, -1)
    """

    domain: DistributedSpace
    codomain: DistributedSpace

    @checked
    def __init__(self, space: DistributedSpace, steps: int, axis: str, periodic: bool = True) -> None:
        require_spaces("Shift", space)
        steps, roles = agreed(
            space.grid.world,
            "Shift",
            lambda: _check(space, steps, axis),
            describe=lambda checked_arguments: (
                f"Shift({space}, {checked_arguments[0]}, {axis!r}, periodic={bool(periodic)})"
            ),
        )
        super().__init__(space, space if roles == space.roles else space.like(roles=roles))
        self.steps, self.axis, self.periodic = steps, axis, bool(periodic)
        self._receiver, self._sender = self._neighbour(steps), self._neighbour(-steps)
        self._operation = OperationName(repr(self), self.domain.ndim)

    def _neighbour(self, steps: int) -> int | None:
        """Return the rank some steps on along the axis; None beyond its end, and of a rank outside the grid."""
        grid = self.domain.grid
        if grid.coordinates is None:
            return None
        place, length = grid.coordinates[self.axis] + steps, grid.axes[self.axis]
        if self.periodic:
            place %= length
        return grid.rank_at({**grid.coordinates, self.axis: place}) if 0 <= place < length else None

    exact = True
    roundings = 0
    gain = 1.0  # no array becomes longer, and none goes to two ranks

    def goes_anywhere(self, length: int) -> bool:
        """Say whether anything goes from one rank to another, on a grid axis of some length."""
        return self.steps % length != 0 if self.periodic else 0 < abs(self.steps) < length

    @property
    def claims(self) -> Claims:
        """Unitary on a ring; self-adjoint where going twice leads back to the same space."""
        kept = self.periodic or self.steps == 0
        return (claims.UNITARY if kept else claims.NONE) | ({claims.SELF_ADJOINT} if self.dual == self else claims.NONE)

    @property
    def dual(self) -> Shift:
        """The shift by as many steps the other way. No communication."""
        mirrored = object.__new__(Shift)
        LinearOperator.__init__(mirrored, self.codomain, self.domain)
        mirrored.steps, mirrored.axis, mirrored.periodic = -self.steps, self.axis, self.periodic
        mirrored._receiver, mirrored._sender = self._sender, self._receiver
        mirrored._operation = OperationName(repr(mirrored), mirrored.domain.ndim)
        return mirrored

    def _apply(self, x: Array) -> Array:
        world, batch = self.domain.grid.world, self.domain.batch(x)
        stays = self._sender == world.rank
        y = arrays.copy(x) if stays else self.codomain.zeros(batch, like=x)
        # Both ends know from the layouts what is empty, and send nothing of it.
        sends, receives = [], []
        if not (stays or self._receiver is None or 0 in self.domain.shape):
            sends.append((self._receiver, x if arrays.is_row_major(x) else arrays.copy(x)))
        if not (stays or self._sender is None or 0 in self.codomain.shape):
            receives.append((self._sender, y))
        world.exchange(sends, receives, self._operation.of(x)).finish()
        return y

    def _key(self) -> tuple[object, ...]:
        steps = self.steps % self.domain.grid.axes[self.axis] if self.periodic else self.steps
        return (self.domain, steps, self.axis, self.periodic)

    def __str__(self) -> str:
        return f"Shift({self.axis}, {self.steps}{'' if self.periodic else ', periodic=False'})"


def _check(space: DistributedSpace, steps: int, axis: str) -> tuple[int, dict[str, Role]]:
    """Return the number of steps, and the roles after them; raise where there are none."""
    name = f"Shift({space}, {steps!r}, {axis!r})"
    if axis not in space.roles:
        raise SpaceError(f"{name}: expected an axis of the grid, one of {', '.join(space.roles)}; found {axis!r}")
    try:
        steps = operator.index(steps)
    except TypeError:
        raise SpaceError(f"{name}: expected a whole number of steps, found {steps!r}") from None
    roles = space.layout.rolled(axis, steps)
    if roles is not None:
        return steps, roles
    if space.roles[axis].replicated:
        raise SpaceError(
            f"{name}: expected Copies, Split or At along {axis!r}, found {space.roles[axis]!r}: all ranks store one "
            f"vector, which cannot go on to another; Copy makes a vector of each rank's own"
        )
    raise SpaceError(
        f"{name}: a rank holds several intervals of the tensor axis, which is split along several grid axes; no roles "
        f"say where they are afterwards"
    )


# -- what it costs -----------------------------------------------------------------------------------------------------

cost.register(Shift, as_laid_out)


@cost_on.register
def _(operator: Shift, *, relaid: Relay) -> ParallelCost:
    layout = relaid(operator.domain.layout)
    part = layout.largest_part * operator.domain.dtype.itemsize
    sent = part if operator.goes_anywhere(layout.axes[operator.axis]) else 0
    return ParallelCost(0, 2 * part, int(sent > 0), sent)


@traffic.register
def _(operator: Shift) -> list[Traffic]:
    space = operator.domain
    grid = space.grid
    length = grid.axes[operator.axis]
    sent = [Traffic() for _ in range(grid.world.size)]
    for rank in grid.places.members if operator.goes_anywhere(length) else ():
        place = grid.coordinates_of(rank)
        shape = space.layout.shape_at(rank)
        beyond = place is None or not 0 <= place[operator.axis] + operator.steps < length
        if 0 not in shape and (operator.periodic or not beyond):
            sent[rank].messages, sent[rank].bytes = 1, math.prod(shape) * space.dtype.itemsize
    return sent


# -- rules -------------------------------------------------------------------------------------------------------------


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
